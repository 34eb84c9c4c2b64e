//! What is planned for the host's resolver settings, from facts alone.

#![cfg(test)]

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use servos_names::{
    Facts, FileStep, InCharge, LinkFacts, LinkStep, Listening, OnDisk, Present, ResolvConf, ResolvedFacts,
    ResolverChoice, Step, Wanted, plan_resolver, plan_restore,
};

const STUB: &str = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n";

fn wanted(choice: ResolverChoice) -> Wanted {
    Wanted {
        choice,
        loopback: "127.64.0.53".parse().unwrap(),
        address: "100.64.0.1".parse().unwrap(),
        domain: "mesh.internal".parse().unwrap(),
        hosts: vec!["api.example.org".parse().unwrap(), "single".parse().unwrap()],
        upstreams: Vec::new(),
        fallback_upstreams: true,
        backup: "/etc/resolv.conf.servos-backup".into(),
    }
}

fn auto() -> Wanted {
    wanted(ResolverChoice::Auto)
}

fn facts(resolv_conf: &str) -> Facts {
    Facts {
        file: OnDisk { present: Present::Theirs(resolv_conf.to_owned()), ..OnDisk::default() },
        listening: Listening { loopback: true, mesh: true },
        ..Facts::default()
    }
}

/// systemd-resolved with one upstream and an interface that nobody has configured.
fn resolved() -> ResolvedFacts {
    let yes = || "yes".to_owned();
    let link = LinkFacts {
        index: 3,
        default_route: true,
        llmnr: yes(),
        multicast_dns: yes(),
        dnssec: yes(),
        dns_over_tls: yes(),
        ..LinkFacts::default()
    };
    ResolvedFacts { link: Some(link), servers: vec!["192.0.2.53:53".parse().unwrap()] }
}

/// The file that a plan writes.
fn written(facts: &Facts, wanted: &Wanted) -> String {
    let steps = plan_resolver(facts, wanted).steps;
    let text = steps.into_iter().find_map(|step| match step {
        Step::File(FileStep::Stage(text)) => Some(text),
        _ => None,
    });
    text.expect("no file is written")
}

fn ours(former: &str) -> Facts {
    let before = facts(former);
    let text = written(&before, &auto());
    let file = OnDisk { present: Present::Ours(text), backup: Some(former.to_owned()), leftovers: false };
    Facts { file, ..before }
}

fn upstreams(facts: &Facts, wanted: &Wanted) -> Vec<String> {
    plan_resolver(facts, wanted).upstreams.iter().map(ToString::to_string).collect()
}

#[test]
fn resolv_conf_is_kept_and_replaced() {
    let former = "# by hand\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch example.org lan\noptions ndots:2 rotate\nsortlist 130.155.160.0\n";
    let plan = plan_resolver(&facts(former), &auto());
    let text = written(&facts(former), &auto());
    assert_eq!(plan.in_charge, InCharge::ResolvConf);
    assert_eq!(
        plan.steps,
        [FileStep::StageBackup, FileStep::CommitBackup, FileStep::Stage(text.clone()), FileStep::Commit]
            .map(Step::File)
    );
    assert_eq!(plan.problems, Vec::<String>::new());
    let directives: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        directives,
        [
            "nameserver 127.64.0.53",
            "nameserver 192.0.2.1",
            "nameserver 192.0.2.2",
            // What meant something before comes first.
            "search example.org lan mesh.internal",
            "options ndots:2",
            "sortlist 130.155.160.0",
        ]
    );
    assert!(text.starts_with("# Written by servos-agent"), "{text}");
    assert!(text.contains("mv /etc/resolv.conf.servos-backup over this file"), "{text}");
    // All of the former servers, not only those that fit.
    assert_eq!(plan.upstreams.len(), 3);
}

#[test]
fn what_libc_assumes_is_written_out() {
    let before = Facts { host_domain: Some("example.org".into()), ..facts("") };
    let conf = ResolvConf::parse(&written(&before, &auto()));
    assert_eq!(conf.nameservers, ["127.64.0.53", "127.0.0.1"]);
    assert_eq!(conf.search.unwrap(), ["example.org", "mesh.internal"]);

    let before = Facts { host_domain: Some("example.org".into()), ..facts("domain lan\n") };
    assert_eq!(ResolvConf::parse(&written(&before, &auto())).search.unwrap(), ["lan", "mesh.internal"]);
    let conf = ResolvConf::parse(&written(&facts("search a b\nsearch Mesh.Internal.\n"), &auto()));
    assert_eq!(conf.search.unwrap(), ["Mesh.Internal."], "not twice");
}

#[test]
fn without_fallback_ours_is_the_only_server() {
    let wanted = Wanted { fallback_upstreams: false, ..auto() };
    let text = written(&facts("nameserver 192.0.2.1\n"), &wanted);
    assert_eq!(ResolvConf::parse(&text).nameservers, ["127.64.0.53"]);
    assert_eq!(upstreams(&facts("nameserver 192.0.2.1\n"), &wanted), ["192.0.2.1:53"]);
}

#[test]
fn nothing_is_touched_before_the_server_answers_and_all_is_taken_back_when_it_stops() {
    let former = "nameserver 192.0.2.1\n";
    let silent = |facts: Facts| Facts { listening: Listening::default(), ..facts };
    let plan = plan_resolver(&silent(facts(former)), &auto());
    assert_eq!((plan.steps.len(), plan.problems.len()), (0, 1));
    assert!(plan.problems[0].contains("does not answer on 127.64.0.53"), "{:?}", plan.problems);

    let plan = plan_resolver(&silent(ours(former)), &auto());
    assert_eq!(plan.steps, [FileStep::PutBack, FileStep::Sweep].map(Step::File));

    let mut stub = facts(STUB);
    stub.resolved = Some(resolved());
    stub.listening.mesh = false;
    let plan = plan_resolver(&stub, &auto());
    assert_eq!((plan.steps.len(), plan.problems.len()), (0, 1));
    stub.resolved.as_mut().unwrap().link.as_mut().unwrap().servers = vec!["100.64.0.1".parse().unwrap()];
    let plan = plan_resolver(&stub, &auto());
    assert_eq!(plan.steps, [Step::Link(3, LinkStep::Revert), Step::Link(3, LinkStep::FlushCaches)]);
}

#[test]
fn systemd_resolved_is_in_charge_where_it_is_on_the_bus_and_asked() {
    let on_bus = |text: &str| Facts { resolved: Some(resolved()), ..facts(text) };
    let who = |facts: &Facts, choice| plan_resolver(facts, &wanted(choice)).in_charge;
    use ResolverChoice::{Auto, Off, ResolvConf, Resolved};
    assert_eq!(who(&on_bus(STUB), Auto), InCharge::Resolved);
    assert_eq!(who(&on_bus("nameserver 192.0.2.1\n"), Auto), InCharge::ResolvConf);
    assert_eq!(who(&facts(STUB), Auto), InCharge::ResolvConf, "it is not there");
    assert_eq!(who(&on_bus(STUB), ResolvConf), InCharge::ResolvConf);
    assert_eq!(who(&on_bus("nameserver 192.0.2.1\n"), Resolved), InCharge::Resolved);
    assert_eq!(who(&on_bus(STUB), Off), InCharge::Nobody(Off));
    let plan = plan_resolver(&facts(STUB), &wanted(Resolved));
    assert_eq!((plan.in_charge, plan.problems.len()), (InCharge::Nobody(Resolved), 1));
    // Ours in its place does not hide what it stands for.
    let forced = Facts { resolved: Some(resolved()), ..ours(STUB) };
    let plan = plan_resolver(&forced, &auto());
    assert_eq!(plan.in_charge, InCharge::Resolved);
    assert_eq!(plan.steps[0], Step::File(FileStep::PutBack));
}

#[test]
fn systemd_resolved_is_told_what_is_missing_and_nothing_twice() {
    let mut facts = Facts { resolved: Some(resolved()), ..facts(STUB) };
    let plan = plan_resolver(&facts, &auto());
    let mut domains = vec![("mesh.internal".to_owned(), false)];
    domains.extend((64..128).map(|octet| (format!("{octet}.100.in-addr.arpa"), true)));
    domains.push(("api.example.org".to_owned(), true));
    let expected = [
        LinkStep::NoDefaultRoute,
        LinkStep::NoLlmnr,
        LinkStep::NoMulticastDns,
        LinkStep::NoDnssec,
        LinkStep::NoDnsOverTls,
        LinkStep::SetDomains(domains.clone()),
        LinkStep::SetDns("100.64.0.1".parse().unwrap()),
        LinkStep::FlushCaches,
    ];
    assert_eq!(plan.steps, expected.map(|step| Step::Link(3, step)));
    assert_eq!(upstreams(&facts, &auto()), ["192.0.2.53:53"]);

    domains.sort();
    let no = || "no".to_owned();
    facts.resolved.as_mut().unwrap().link = Some(LinkFacts {
        index: 3,
        servers: vec!["100.64.0.1".parse().unwrap()],
        domains,
        default_route: false,
        llmnr: no(),
        multicast_dns: no(),
        dnssec: no(),
        dns_over_tls: no(),
    });
    assert_eq!(plan_resolver(&facts, &auto()).steps, []);
    // A service got another host name.
    let wanted = Wanted { hosts: vec!["new.example.org".parse().unwrap()], ..auto() };
    let steps = plan_resolver(&facts, &wanted).steps;
    assert!(
        matches!(&steps[..], [Step::Link(3, LinkStep::SetDomains(_)), Step::Link(3, LinkStep::FlushCaches)]),
        "{steps:?}"
    );
}

#[test]
fn upstreams_are_the_hosts_own_and_never_ours() {
    let text = "nameserver 127.64.0.53\nnameserver 100.64.0.1\nnameserver 192.0.2.1\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver nonsense\n";
    assert_eq!(upstreams(&facts(text), &auto()), ["192.0.2.1:53", "[2001:db8::1]:53"]);
    assert_eq!(upstreams(&ours("nameserver 192.0.2.7\n"), &auto()), ["192.0.2.7:53"]);
    let set = Wanted { upstreams: vec!["192.0.2.9:5353".parse().unwrap()], ..auto() };
    assert_eq!(upstreams(&facts(text), &set), ["192.0.2.9:5353"]);
    // Systemd-resolved's stub would ask us in turn, once we are what resolv.conf names.
    let behind = Facts { resolved: Some(resolved()), ..facts(STUB) };
    assert_eq!(upstreams(&behind, &wanted(ResolverChoice::ResolvConf)), ["192.0.2.53:53"]);
    assert_eq!(upstreams(&Facts { file: OnDisk::default(), ..facts("") }, &auto()), ["127.0.0.1:53"]);
}

#[test]
fn a_backup_that_was_removed_is_made_up_for() {
    let former = "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch lan\noptions rotate\n";
    let Facts { file, .. } = ours(former);
    let steps = plan_restore(&OnDisk { backup: None, ..file }, None);
    assert_eq!(
        steps,
        [
            FileStep::Stage(
                "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch lan\noptions rotate\n".into()
            ),
            FileStep::Commit,
            FileStep::Sweep
        ]
        .map(Step::File)
    );
}

#[test]
fn a_file_that_somebody_put_over_ours_is_the_new_former_one() {
    let theirs = Facts {
        file: OnDisk { backup: Some("nameserver 192.0.2.1\n".into()), ..facts("nameserver 192.0.2.8\n").file },
        ..facts("")
    };
    assert_eq!(upstreams(&theirs, &auto()), ["192.0.2.8:53"]);
    assert_eq!(plan_resolver(&theirs, &auto()).steps[0], Step::File(FileStep::StageBackup));
    assert_eq!(plan_restore(&theirs.file, None), [Step::File(FileStep::Sweep)], "and stays");
}

proptest! {
    #[test]
    fn any_former_file_is_respected(
        servers in proptest::collection::vec("(10|192)\\.[0-9]\\.[0-9]\\.[0-9]|127\\.0\\.0\\.53|127\\.64\\.0\\.53|100\\.64\\.0\\.1|[a-f0-9:]{3,9}", 0..5),
        search in proptest::option::of(proptest::collection::vec("[a-z]{1,5}(\\.[a-z]{1,3})?", 0..5)),
        options in proptest::collection::vec("edns0|rotate|ndots:[0-9]|trust-ad", 0..4),
        noise in "[ -~]{0,30}",
        fallback_upstreams in any::<bool>(),
    ) {
        let mut former = format!("{noise}\n");
        servers.iter().for_each(|server| former.push_str(&format!("nameserver {server}\n")));
        search.iter().for_each(|domains| former.push_str(&format!("search {}\n", domains.join(" "))));
        former.push_str(&format!("options {}\n", options.join(" ")));
        let wanted = Wanted { fallback_upstreams, ..auto() };
        let before = facts(&former);
        let text = written(&before, &wanted);
        let (theirs, conf) = (ResolvConf::parse(&former), ResolvConf::parse(&text));

        prop_assert!(ResolvConf::is_ours(&text) && !ResolvConf::is_ours(&former));
        prop_assert_eq!(&conf.nameservers[0], "127.64.0.53");
        prop_assert!(conf.nameservers.len() <= 3);
        prop_assert!(conf.nameservers[1..].iter().all(|server| server != "127.64.0.53"));
        let searched = conf.search.unwrap();
        prop_assert!(searched.starts_with(&theirs.search.clone().unwrap_or_default()), "theirs first");
        prop_assert!(searched.iter().any(|domain| domain == "mesh.internal"));
        prop_assert_eq!(ResolvConf::former(&text).unwrap(), theirs);

        let own: [IpAddr; 2] = ["127.64.0.53".parse().unwrap(), "100.64.0.1".parse().unwrap()];
        let upstreams: Vec<SocketAddr> = plan_resolver(&before, &wanted).upstreams;
        prop_assert!(upstreams.iter().all(|upstream| !own.contains(&upstream.ip())));

        // Once it is done there is nothing to do.
        let file = OnDisk { present: Present::Ours(text), backup: Some(former), leftovers: false };
        prop_assert_eq!(plan_resolver(&Facts { file, ..before }, &wanted).steps, []);
    }
}
