//! Real ufw, in a machine of its own (see `common::namespace`; needs root).

mod common;

use common::namespace::Machine;
use common::{RAIL, rules};
use servos_firewall::{Firewall, FirewallSettings, UfwState};

const OPERATORS: [&str; 3] = ["deny 8080", "allow 51820/udp comment 'x'", "limit 22"];

fn machine_with_operators_rules() -> Machine {
    let machine = Machine::new();
    for rule in OPERATORS {
        machine.ufw(rule);
    }
    machine
}

#[tokio::test]
async fn brings_ufw_to_the_policy_and_back() {
    let machine = machine_with_operators_rules();
    let firewall = machine.firewall();
    let desired = rules(&[
        "allow 80/tcp anywhere web",
        "allow 5432/tcp mesh postgres",
        "allow 8000:8010/tcp 10.0.0.0/8 range",
        "allow 53/any 192.0.2.7/32 one address",
        "limit 25/tcp anywhere",
        "deny 9000:9010/any anywhere closed",
        "allow 8080/any anywhere taken",
        "deny 22/tcp anywhere evil",
    ]);

    let planned = firewall.plan(Some(&desired)).await.unwrap();
    assert_eq!(machine.rules(), OPERATORS, "planning changes nothing");
    let report = firewall.apply(Some(&desired)).await.unwrap();

    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.done, planned.steps);
    let ours = [
        "allow 80/tcp comment 'servos-mesh: web'",
        "allow in on wg0 to any port 5432 proto tcp comment 'servos-mesh: postgres'",
        "allow from 10.0.0.0/8 to any port 8000:8010 proto tcp comment 'servos-mesh: range'",
        "allow from 192.0.2.7 to any port 53 comment 'servos-mesh: one address'",
        "limit 25/tcp comment 'servos-mesh: policy'",
        "deny 9000:9010/tcp comment 'servos-mesh: closed'",
        "deny 9000:9010/udp comment 'servos-mesh: closed'",
    ];
    assert_eq!(machine.rules(), [&OPERATORS[..], &ours].concat());
    assert_eq!(report.refused.len(), 1, "SSH");
    assert_eq!(report.kept.iter().map(|kept| &kept.rule[..]).collect::<Vec<_>>(), [OPERATORS[1], OPERATORS[0]]);
    assert_eq!(machine.ufw("status"), "Status: inactive\n");

    let again = firewall.apply(Some(&desired)).await.unwrap();
    assert_eq!((again.done, again.failed), (vec![], vec![]));

    let back = firewall.decommission().await.unwrap();
    assert!(back.is_complete(), "{back:?}");
    assert_eq!(machine.rules(), OPERATORS);
}

#[tokio::test]
async fn changes_rules_in_place_and_in_order() {
    let machine = Machine::new();
    let firewall = machine.firewall();
    firewall.apply(Some(&rules(&["allow 80/tcp anywhere web", "allow 81/tcp anywhere web"]))).await.unwrap();
    machine.ufw("allow 9100/tcp");

    let desired = rules(&["deny 80/tcp 10.0.0.5/32 out", "allow 80/tcp anywhere web", "limit 81/tcp anywhere other"]);
    let report = firewall.apply(Some(&desired)).await.unwrap();

    assert!(report.is_complete(), "{report:?}");
    assert_eq!(
        machine.rules(),
        [
            RAIL,
            "limit 81/tcp comment 'servos-mesh: other'",
            "allow 9100/tcp",
            "deny from 10.0.0.5 to any port 80 proto tcp comment 'servos-mesh: out'",
            "allow 80/tcp comment 'servos-mesh: web'",
        ]
    );
}

#[tokio::test]
async fn a_rule_that_the_operator_takes_over_is_his() {
    let machine = Machine::new();
    let firewall = machine.firewall();
    let desired = rules(&["allow 80/tcp anywhere web"]);
    firewall.apply(Some(&desired)).await.unwrap();
    machine.ufw("deny 80/tcp comment 'mine now'");

    let report = firewall.apply(Some(&desired)).await.unwrap();
    assert_eq!(report.done, []);
    assert_eq!(report.kept[0].rule, "deny 80/tcp comment 'mine now'");
    firewall.decommission().await.unwrap();

    assert_eq!(machine.rules(), ["deny 80/tcp comment 'mine now'"]);
}

#[tokio::test]
async fn enables_ufw_only_if_told_and_with_ssh_open() {
    let machine = Machine::new();
    let ssh_ports = vec![22.try_into().unwrap(), 2222.try_into().unwrap()];
    machine.ufw("limit 22/tcp");

    let untold = FirewallSettings { ssh_ports: ssh_ports.clone(), ..machine.settings() };
    Firewall::new(untold, "wg0", 51820).apply(Some(&[])).await.unwrap();
    assert_eq!(machine.ufw("status"), "Status: inactive\n");

    let told = FirewallSettings { enable_ufw: true, ssh_ports, ..machine.settings() };
    let firewall = Firewall::new(told, "wg0", 51820);
    let report = firewall.apply(Some(&[])).await.unwrap();

    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.ufw, Some(UfwState::Active));
    let status = machine.ufw("status");
    for (rule, count) in [("51820/udp", 2), ("2222/tcp", 2), ("\n22/tcp", 2)] {
        assert_eq!(status.matches(rule).count(), count, "{rule} in\n{status}");
    }
    assert_eq!(firewall.apply(Some(&[])).await.unwrap().done, []);

    // Leaving the mesh closes no door behind which somebody may stand.
    let back = firewall.decommission().await.unwrap();
    assert_eq!(machine.rules(), ["limit 22/tcp", "allow 2222/tcp comment 'servos-mesh: ssh'"]);
    assert_eq!(back.kept[0].rule, "allow 2222/tcp comment 'servos-mesh: ssh'");
    assert!(machine.ufw("status").starts_with("Status: active"));
}

#[tokio::test]
async fn a_rule_that_would_close_ssh_keeps_ufw_from_being_enabled() {
    let machine = Machine::new();
    machine.ufw("deny 22");

    let told = FirewallSettings { enable_ufw: true, ..machine.settings() };
    let report = Firewall::new(told, "wg0", 51820).apply(Some(&[])).await.unwrap();

    assert_eq!(report.refused[0].rule, "enable");
    assert_eq!(machine.ufw("status"), "Status: inactive\n");
}

#[tokio::test]
async fn works_on_an_active_ufw() {
    let machine = machine_with_operators_rules();
    machine.ufw("--force enable");
    let firewall = machine.firewall();

    let report = firewall.apply(Some(&rules(&["allow 80/tcp mesh web"]))).await.unwrap();

    assert!(report.is_complete(), "{report:?}");
    let status = machine.ufw("status");
    assert!(status.contains("80/tcp on wg0              ALLOW       Anywhere                   # servos-mesh: web"));
    assert!(status.contains("80/tcp (v6) on wg0         ALLOW       Anywhere (v6)              # servos-mesh: web"));
    firewall.apply(Some(&[])).await.unwrap();
    assert_eq!(machine.rules(), OPERATORS);
    assert!(machine.ufw("status").starts_with("Status: active"));
}

/// ufw reads its rules before it takes its lock: of two commands at once, one is lost.
#[tokio::test]
async fn two_runs_at_once_lose_nothing() {
    let machine = Machine::new();
    let (one, other) = (machine.firewall(), machine.firewall());
    let desired = rules(&["allow 80/tcp anywhere a", "allow 81/tcp anywhere a", "allow 82/tcp anywhere a"]);

    let (one, other) = tokio::join!(one.apply(Some(&desired)), other.apply(Some(&desired)));

    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.is_complete() && other.is_complete());
    assert_eq!(one.done.len() + other.done.len(), 4, "each rule was set once: {one:?} {other:?}");
    assert_eq!(machine.rules().len(), 4);
}

/// The `ufw` here is a double around the real one: its third call of all that change something fails.
#[tokio::test]
async fn where_ufw_fails_half_way_what_was_done_stays() {
    let machine = machine_with_operators_rules();
    let failing = failing_ufw(&machine, "[ \"$count\" = 3 ]");
    let settings = FirewallSettings { ufw_path: failing, ..machine.settings() };
    let firewall = Firewall::new(settings, "wg0", 51820);
    let desired = rules(&[
        "allow 80/tcp anywhere a",
        "allow 81/tcp anywhere a",
        "allow 82/tcp anywhere a",
        "allow 83/tcp anywhere a",
    ]);

    let report = firewall.apply(Some(&desired)).await.unwrap();

    assert_eq!(report.done.len(), 3);
    assert_eq!(report.failed.len(), 1);
    assert_eq!(report.failed[0].step.to_string(), "ufw allow 82/tcp comment 'servos-mesh: a'");
    assert!(report.failed[0].error.contains("double: out of order"), "{}", report.failed[0]);
    assert_eq!(machine.rules()[..3], OPERATORS);
    assert_eq!(machine.rules().len(), 6);

    let next = firewall.apply(Some(&desired)).await.unwrap();
    assert!(next.is_complete(), "{next:?}");
    assert_eq!(next.done.len(), 1);
}

/// The `ufw` here is a double around the real one: from the second on, each call that changes something fails.
#[tokio::test]
async fn where_ufw_fails_for_good_the_rest_is_left() {
    let machine = Machine::new();
    let failing = failing_ufw(&machine, "[ \"$count\" -ge 2 ]");
    let settings = FirewallSettings { ufw_path: failing, enable_ufw: true, ..machine.settings() };
    let firewall = Firewall::new(settings, "wg0", 51820);
    let desired: Vec<_> = (80..90).map(|port| common::rule(&format!("allow {port}/tcp anywhere a"))).collect();

    let report = firewall.apply(Some(&desired)).await.unwrap();

    assert_eq!((report.done.len(), report.failed.len()), (1, 3));
    assert_eq!(report.done.len() + report.failed.len() + report.left.len(), 2 + 10 + 1);
    assert_eq!(machine.rules(), [RAIL]);
    assert_eq!(machine.ufw("status"), "Status: inactive\n");
}

/// The `ufw` here is a double around the real one: SSH's rule fails, once; ufw must not be enabled behind it.
#[tokio::test]
async fn ufw_is_not_enabled_after_the_rule_for_ssh_failed() {
    let machine = Machine::new();
    let failing = failing_ufw(&machine, "[ \"$count\" = 2 ]");
    let settings = FirewallSettings { ufw_path: failing, enable_ufw: true, ..machine.settings() };
    let firewall = Firewall::new(settings, "wg0", 51820);

    let report = firewall.apply(Some(&[])).await.unwrap();

    assert_eq!(report.failed.len(), 2, "{report:?}");
    assert_eq!(report.failed[1].to_string(), "ufw --force enable: SSH on port 22/tcp is not allowed");
    assert_eq!(machine.ufw("status"), "Status: inactive\n");

    let next = firewall.apply(Some(&[])).await.unwrap();
    assert!(next.is_complete(), "{next:?}");
    assert_eq!(next.ufw, Some(UfwState::Active));
}

/// The `ufw` here is a double around the real one: with the second change comes one of the operator's.
#[tokio::test]
async fn a_change_of_the_operators_in_between_is_seen() {
    let machine = Machine::new();
    let real = machine.ufw_path();
    let body = format!(
        "case $1 in status|show) ;; *) echo x >>{0}.calls; [ $(wc -l <{0}.calls) = 2 ] && {0} deny 82/tcp;; esac\nexec {0} \"$@\"",
        real.display()
    );
    let settings = FirewallSettings { ufw_path: machine.script("meddled", &body), ..machine.settings() };
    let desired = rules(&["allow 81/tcp anywhere a", "allow 82/tcp anywhere a"]);

    let report = Firewall::new(settings, "wg0", 51820).apply(Some(&desired)).await.unwrap();

    assert!(report.is_complete(), "{report:?}");
    assert_eq!(machine.rules(), [RAIL, "deny 82/tcp", "allow 81/tcp comment 'servos-mesh: a'"]);
    assert_eq!(report.kept[0].rule, "deny 82/tcp");
}

/// A double around the machine's real ufw, which fails where `condition` holds of `count`, the number of the change.
fn failing_ufw(machine: &Machine, condition: &str) -> std::path::PathBuf {
    let real = machine.ufw_path();
    let body = format!(
        "case $1 in status|show) exec {0} \"$@\";; esac\necho x >>{0}.calls; count=$(wc -l <{0}.calls)\n\
         if {condition}; then echo 'ERROR: double: out of order' >&2; exit 1; fi\nexec {0} \"$@\"",
        real.display()
    );
    machine.script("failing", &body)
}
