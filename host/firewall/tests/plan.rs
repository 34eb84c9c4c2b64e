//! The plan, case by case.

mod common;

use common::{RAIL, active, enabling, guard, inactive, rules};
use servos_firewall::{Facts, FirewallPlan, UfwState, plan, plan_decommission};

#[test]
fn a_policy_becomes_commands() {
    let desired = rules(&[
        "allow 80/tcp anywhere web",
        "allow 5432/tcp mesh postgres",
        "allow 53/any 10.0.0.0/8 dns",
        "deny 9000:9010/any anywhere",
        "limit 25/tcp 192.0.2.7/32 mail: in",
    ]);

    let plan = plan(Some(&desired), &active(&[]), &guard());

    assert_eq!(
        plan.to_string(),
        "\
ufw allow 51820/udp comment 'servos-mesh: wireguard'
ufw allow 80/tcp comment 'servos-mesh: web'
ufw allow in on wg0 to any port 5432 proto tcp comment 'servos-mesh: postgres'
ufw allow from 10.0.0.0/8 to any port 53 comment 'servos-mesh: dns'
ufw deny 9000:9010/tcp comment 'servos-mesh: policy'
ufw deny 9000:9010/udp comment 'servos-mesh: policy'
ufw limit from 192.0.2.7 to any port 25 proto tcp comment 'servos-mesh: mail: in'
"
    );
}

#[test]
fn what_is_there_is_left_and_what_is_not_wanted_goes() {
    let facts = active(&[
        RAIL,
        "allow 80/tcp comment 'servos-mesh: web'",
        "allow in on wg0 to any port 81 proto tcp comment 'servos-mesh: gone'",
        "allow 443/tcp comment 'somebody'",
        "allow 444/tcp",
    ]);

    let plan = plan(Some(&rules(&["allow 80/tcp anywhere web"])), &facts, &guard());

    assert_eq!(plan.to_string(), "ufw delete allow in on wg0 to any port 81 proto tcp comment 'servos-mesh: gone'\n");
}

#[test]
fn a_changed_rule_is_changed_in_its_place() {
    let facts = active(&[RAIL, "allow 80/tcp comment 'servos-mesh: web'", "allow 81/tcp comment 'servos-mesh: web'"]);

    let plan = plan(Some(&rules(&["allow 80/tcp anywhere new reason", "deny 81/tcp anywhere web"])), &facts, &guard());

    assert_eq!(
        commands(&plan),
        ["ufw allow 80/tcp comment 'servos-mesh: new reason'", "ufw deny 81/tcp comment 'servos-mesh: web'"]
    );
}

/// `ufw allow 8080` over a `deny 8080` would replace it.
#[test]
fn the_operators_rule_of_the_same_tuple_stays() {
    let facts = active(&["deny 8080/tcp", "allow 51820/udp comment 'x'", "limit 80/tcp comment 'mine'"]);

    let plan = plan(Some(&rules(&["allow 8080/tcp anywhere api", "allow 80/tcp anywhere web"])), &facts, &guard());

    assert_eq!(commands(&plan), [] as [&str; 0]);
    assert_eq!(
        plan.to_string(),
        "\
# kept: the operator's rule `allow 51820/udp comment 'x'`: wanted was `allow 51820/udp comment 'servos-mesh: wireguard'`
# kept: the operator's rule `deny 8080/tcp`: wanted was `allow 8080/tcp comment 'servos-mesh: api'`
# kept: the operator's rule `limit 80/tcp comment 'mine'`: wanted was `allow 80/tcp comment 'servos-mesh: web'`
"
    );
}

/// Also if he denied it after the mesh had allowed it, in other words: the mesh's rule would be matched first.
#[test]
fn the_operators_wider_denial_takes_the_meshs_rule_away() {
    let facts = active(&[RAIL, "allow in on wg0 to any port 8080 proto tcp comment 'servos-mesh: api'", "deny 8080"]);

    let plan = plan(Some(&rules(&["allow 8080/tcp mesh api"])), &facts, &guard());

    assert_eq!(commands(&plan), ["ufw delete allow in on wg0 to any port 8080 proto tcp comment 'servos-mesh: api'"]);
    assert_eq!(plan.kept[0].rule, "deny 8080");
}

#[test]
fn a_denial_of_wireguard_by_the_operator_is_named() {
    let plan = plan(Some(&[]), &active(&["deny 51820"]), &guard());

    assert_eq!(commands(&plan), [] as [&str; 0]);
    assert_eq!(plan.notes, ["the operator's rule `deny 51820` keeps WireGuard's port 51820/udp from being open"]);
}

#[test]
fn a_rule_whose_action_is_unknown_still_occupies_its_tuple() {
    let plan = plan(Some(&rules(&["allow 80/tcp anywhere web"])), &active(&[RAIL, "frobnicate 80/tcp"]), &guard());

    assert_eq!(commands(&plan), [] as [&str; 0]);
    assert_eq!(plan.kept[0].rule, "frobnicate 80/tcp");
}

#[test]
fn a_policy_closes_neither_ssh_nor_wireguard() {
    let facts = Facts { ssh_ports: vec![22, 2222], ..active(&[RAIL, "allow 22/tcp", "allow 2222/tcp"]) };
    for (refused, because) in [
        ("deny 22/tcp anywhere a", "refused: deny 22/tcp from anywhere (a): it would close SSH on port 22/tcp"),
        ("limit 22/tcp anywhere a", "refused: limit 22/tcp from anywhere (a): it would limit SSH on port 22/tcp"),
        ("deny 2222/any mesh a", "refused: deny 2222 from the mesh (a): it would close SSH on port 2222/tcp"),
        (
            "deny 1:65535/tcp anywhere a",
            "refused: deny 1:65535/tcp from anywhere (a): it would close SSH on port 22/tcp",
        ),
        ("deny 20:30/any 10.0.0.0/8 a", "refused: deny 20:30 from 10.0.0.0/8 (a): it would close SSH on port 22/tcp"),
        (
            "deny 51820/udp anywhere a",
            "refused: deny 51820/udp from anywhere (a): it would close WireGuard's port 51820/udp",
        ),
        (
            "limit 51820/any anywhere a",
            "refused: limit 51820 from anywhere (a): it would limit WireGuard's port 51820/udp",
        ),
    ] {
        let plan = plan(Some(&rules(&[refused])), &facts, &guard());

        assert_eq!(plan.to_string(), format!("# {because}\n"));
    }
    let harmless = rules(&["deny 22/udp anywhere a", "deny 51820/tcp anywhere a", "allow 22/tcp mesh a"]);
    assert_eq!(plan(Some(&harmless), &facts, &guard()).refused, []);
}

#[test]
fn what_ufw_cannot_say_is_refused_and_named() {
    let desired = rules(&["allow 80/tcp 0.0.0.0/0 a", "allow 81/tcp anywhere a", "deny 81/tcp anywhere b"]);

    let plan = plan(Some(&desired), &active(&[RAIL]), &guard());

    assert_eq!(
        plan.to_string(),
        "\
ufw allow 81/tcp comment 'servos-mesh: a'
# refused: allow 80/tcp from 0.0.0.0/0 (a): 0.0.0.0/0 is no network to ufw: the rule must say `anywhere`
# refused: deny 81/tcp from anywhere (b): an earlier rule says otherwise: allow 81/tcp comment 'servos-mesh: a'
"
    );
}

#[test]
fn more_rules_than_the_limit_are_refused() {
    let many: Vec<_> = (1000..1260).map(|port| common::rule(&format!("allow {port}/tcp anywhere a"))).collect();

    let plan = plan(Some(&many), &active(&[RAIL]), &guard());

    assert_eq!((plan.steps.len(), plan.refused.len()), (256, 4));
}

#[test]
fn without_an_answer_of_a_policy_only_the_guard_rails_change() {
    let facts = active(&["allow 80/tcp comment 'servos-mesh: web'", "deny 81"]);

    assert_eq!(commands(&plan(None, &facts, &guard())), [format!("ufw {RAIL}")]);
}

#[test]
fn a_policy_that_wants_nothing_is_an_answer() {
    let facts = active(&[RAIL, "allow 80/tcp comment 'servos-mesh: web'"]);

    assert_eq!(commands(&plan(Some(&[]), &facts, &guard())), ["ufw delete allow 80/tcp comment 'servos-mesh: web'"]);
}

#[test]
fn a_denial_that_must_be_matched_first_is_put_first() {
    let facts = active(&[RAIL, "allow 80/tcp comment 'servos-mesh: web'", "allow 81/tcp comment 'servos-mesh: web'"]);
    let desired = rules(&["deny 80/tcp 10.0.0.5/32 out", "allow 80/tcp anywhere web", "allow 81/tcp anywhere web"]);

    let plan = plan(Some(&desired), &facts, &guard());

    assert_eq!(
        commands(&plan),
        [
            "ufw deny from 10.0.0.5 to any port 80 proto tcp comment 'servos-mesh: out'",
            "ufw delete allow 80/tcp comment 'servos-mesh: web'",
            "ufw allow 80/tcp comment 'servos-mesh: web'",
        ]
    );
}

/// ufw prints the two as one line until somebody changes one of them.
#[test]
fn a_rule_whose_ipv6_twin_was_changed_is_set_again() {
    let facts = active(&[RAIL, "allow 80/tcp comment 'servos-mesh: web'", "deny 80/tcp comment 'servos-mesh: web'"]);
    let desired = rules(&["allow 80/tcp anywhere web"]);

    assert_eq!(commands(&plan(Some(&desired), &facts, &guard())), ["ufw allow 80/tcp comment 'servos-mesh: web'"]);
    let taken = active(&[RAIL, "allow 80/tcp comment 'servos-mesh: web'", "deny 80/tcp comment 'mine'"]);
    assert_eq!(
        commands(&plan(Some(&desired), &taken, &guard())),
        ["ufw delete allow 80/tcp comment 'servos-mesh: web'"],
        "an addition would replace the operator's"
    );
}

#[test]
fn an_inactive_ufw_stays_inactive() {
    let plan = plan(Some(&[]), &inactive(&[]), &guard());

    assert_eq!(commands(&plan), [format!("ufw {RAIL}")]);
    assert_eq!(plan.notes, ["ufw is inactive and filters nothing; its rules count once it is enabled"]);
}

#[test]
fn before_ufw_is_enabled_ssh_is_allowed() {
    let facts = Facts { ssh_ports: vec![22, 2222], ..inactive(&["limit 22"]) };

    let plan = plan(None, &facts, &enabling());

    assert_eq!(
        commands(&plan),
        [format!("ufw {RAIL}"), "ufw allow 2222/tcp comment 'servos-mesh: ssh'".into(), "ufw --force enable".into()],
        "port 22 is let in by the operator already"
    );
}

#[test]
fn an_active_ufw_is_the_operators_decision_about_ssh() {
    let facts = active(&[RAIL, "allow from 10.0.0.0/8 to any port 22 proto tcp"]);

    assert_eq!(commands(&plan(None, &facts, &enabling())), [] as [&str; 0]);
}

#[test]
fn ufw_is_not_enabled_where_a_rule_would_close_ssh() {
    for closing in [
        "deny 22",
        "reject 22/tcp",
        "deny 1:1024/tcp",
        "deny in on eth0",
        "deny OpenSSH",
        "what is this",
        "deny 22/tcp",
    ] {
        let plan = plan(None, &inactive(&[closing]), &enabling());

        assert!(!commands(&plan).contains(&"ufw --force enable".to_owned()), "{closing}");
        assert_eq!(plan.refused[0].rule, "enable", "{closing}");
        assert!(plan.refused[0].because.contains(closing), "{closing}");
    }
    for harmless in ["deny 22/udp", "deny from 203.0.113.4", "deny out 22", "deny 23"] {
        let plan = plan(None, &inactive(&[harmless]), &enabling());

        assert!(commands(&plan).contains(&"ufw --force enable".to_owned()), "{harmless}");
    }
}

#[test]
fn what_alone_keeps_ssh_open_stays() {
    let ours = "allow 22/tcp comment 'servos-mesh: ssh'";
    let kept = "# kept: the mesh's rule `allow 22/tcp comment 'servos-mesh: ssh'`: \
                without it SSH on port 22/tcp would be harder to reach; delete it by hand if that is meant\n";

    assert_eq!(plan(Some(&[]), &active(&[RAIL, ours]), &guard()).to_string(), kept);
    assert_eq!(plan_decommission(&active(&[ours])).to_string(), kept);
    // Where the operator lets everyone in, or nothing is filtered, it may go.
    let gone = format!("ufw delete {ours}\n");
    assert_eq!(plan_decommission(&active(&["limit 22", ours])).to_string(), gone);
    assert_eq!(plan_decommission(&inactive(&[ours])).to_string(), gone);
    // Letting in some is not letting in everyone.
    let some = active(&["allow from 10.0.0.0/8 to any port 22", ours]);
    assert_eq!(plan_decommission(&some).to_string(), kept);
    // Nor is one that a denial before it takes back.
    let shadowed = active(&[
        "deny from 10.0.0.0/8",
        "allow from 10.0.0.0/8 to any port 22",
        "allow in on wg0 to any port 22 comment 'servos-mesh: ssh'",
    ]);
    assert_eq!(plan_decommission(&shadowed).steps, []);
}

#[test]
fn decommissioning_takes_back_all_of_ours_and_nothing_else() {
    let facts = active(&[
        "allow 22",
        RAIL,
        "deny 8080",
        "allow log 80/tcp comment 'servos-mesh: web'",
        "route allow in on eth0 out on eth1 comment 'servos-mesh: not ours'",
        "allow 51821/udp comment 'x'",
    ]);

    let plan = plan_decommission(&facts);

    assert_eq!(
        commands(&plan),
        [format!("ufw delete {RAIL}"), "ufw delete allow log 80/tcp comment 'servos-mesh: web'".into()]
    );
}

#[test]
fn without_ufw_nothing_is_planned() {
    let facts = Facts { ufw: UfwState::Missing, ..active(&[]) };

    let plan = plan(Some(&rules(&["allow 80/tcp anywhere web"])), &facts, &enabling());

    assert_eq!(plan.to_string(), "# ufw is not installed: this server's firewall is left as it is\n");
}

#[test]
fn an_interface_that_ufw_does_not_take_is_refused() {
    let odd = servos_firewall::GuardRails { interface: "wg0; reboot".into(), ..guard() };

    let plan = plan(Some(&rules(&["allow 80/tcp mesh web"])), &active(&[RAIL]), &odd);

    assert_eq!(plan.steps, []);
    assert!(plan.refused[0].because.contains("no interface"));
}

#[test]
fn a_plan_is_json() {
    let plan = plan(Some(&[]), &inactive(&["deny 51820/udp"]), &guard());

    let json = serde_json::to_value(&plan).unwrap();

    assert_eq!(json["ufw"], "inactive");
    assert_eq!(json["kept"][0]["owner"], "operator");
    assert_eq!(json["steps"], serde_json::json!([]));
}

fn commands(plan: &FirewallPlan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}
