//! The host's resolver for real: programs of this machine resolve names by way of our server, and as before afterwards.

mod common;

use std::fs;

use common::machine::{Dnsmasq, on_machine, until};
use common::names_table::NamesTable;
use common::{dig, mesh, own, run, serve, serve_with};
use servos_names::{HostResolver, InCharge, NamesSettings, ResolverChoice, restore_resolver};

const UPSTREAM: &str = "127.1.1.1";
const CONF: &str = "/etc/resolv.conf";

async fn upstream(folder: &std::path::Path) -> Dnsmasq {
    let records = ["--host-record=www.example.com,192.0.2.80", "--host-record=short.lan,192.0.2.81", "--local=/lan/"];
    Dnsmasq::start(folder, UPSTREAM, &records).await
}

/// No bus of the machine that the test runs on.
fn settings() -> NamesSettings {
    let mut settings = NamesSettings::default();
    settings.paths.system_bus = Some("unix:path=/nowhere".into());
    settings
}

/// The address that libc finds.
async fn getent(name: &str) -> Option<String> {
    let printed = run("getent", &["ahostsv4", name]).await;
    printed.split_whitespace().next().map(str::to_owned)
}

#[test]
fn programs_find_bare_names_others_and_their_own_short_ones() {
    on_machine(async |folder| {
        let _upstream = upstream(folder.path()).await;
        let former = format!("nameserver {UPSTREAM}\nsearch lan\n");
        fs::write(CONF, &former).unwrap();
        let settings = settings();
        let resolver = HostResolver::new(&settings, "wg0", own());
        let upstreams = resolver.upstreams(&mesh(1)).await.unwrap();
        assert_eq!(upstreams, ["127.1.1.1:53".parse().unwrap()]);
        let table = NamesTable::example();
        table.set("short", servos_sandbox::naming::RecordType::A, servos_sandbox::naming::Outcome::NoData);
        let served = serve_with(&settings, table, &upstreams).await;
        assert_eq!(getent("s2").await, None);

        let plan = resolver.plan(&mesh(1)).await.unwrap();
        assert_eq!((plan.in_charge, plan.steps.len()), (InCharge::ResolvConf, 4));
        assert_eq!(fs::read_to_string(CONF).unwrap(), former, "a plan changes nothing");
        let report = resolver.apply(&mesh(1)).await;
        assert_eq!((report.done.len(), report.problems.len()), (4, 0), "{report:?}");
        assert_eq!(getent("s2").await.as_deref(), Some("100.64.0.2"));
        assert_eq!(getent("s2.mesh.internal").await.as_deref(), Some("100.64.0.2"));
        assert_eq!(getent("www.example.com").await.as_deref(), Some("192.0.2.80"));
        assert_eq!(getent("short").await.as_deref(), Some("192.0.2.81"), "this host's short names come first");
        assert_eq!(run("getent", &["hosts", "100.64.0.2"]).await.split_whitespace().last(), Some("s2.mesh.internal"));
        assert_eq!(resolver.apply(&mesh(1)).await.done.len(), 0);

        // The agent is gone without a word: what is not the mesh's goes on at once.
        drop(served);
        until(|| async { dig("api A").await.contains("refused").then_some(()) }).await;
        assert_eq!(getent("www.example.com").await.as_deref(), Some("192.0.2.80"));
        assert_eq!(getent("short").await.as_deref(), Some("192.0.2.81"));

        // The next one finds what the host used before, and it can be put back without any.
        let next = HostResolver::new(&settings, "wg0", own());
        assert_eq!(next.upstreams(&mesh(1)).await.unwrap(), upstreams);
        let report = restore_resolver(&settings, "wg0").await;
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(fs::read_to_string(CONF).unwrap(), former);
        assert!(!fs::exists("/etc/resolv.conf.servos-backup").unwrap());
        assert_eq!(restore_resolver(&settings, "wg0").await.done.len(), 0);
    });
}

#[test]
fn resolv_conf_is_not_touched_unless_our_server_answers() {
    on_machine(async |folder| {
        let former = format!("nameserver {UPSTREAM}\n");
        fs::write(CONF, &former).unwrap();
        let settings = settings();
        let resolver = HostResolver::new(&settings, "wg0", own());
        let refused = async || {
            let report = resolver.apply(&mesh(1)).await;
            assert_eq!((report.done.len(), report.problems.len()), (0, 1), "{report:?}");
            assert_eq!(fs::read_to_string(CONF).unwrap(), former);
        };
        refused().await;
        // Somebody else's server on our address is not ours.
        let stranger = Dnsmasq::start(folder.path(), common::LOOPBACK, &["--address=/#/192.0.2.66"]).await;
        refused().await;
        drop(stranger);

        let served = serve(NamesTable::example(), &[]).await;
        assert_eq!(resolver.apply(&mesh(1)).await.problems, Vec::<String>::new());
        assert_ne!(fs::read_to_string(CONF).unwrap(), former);
        served.server.shutdown().await;
        let report = resolver.apply(&mesh(1)).await;
        assert_eq!(report.problems.len(), 1, "{report:?}");
        assert_eq!(fs::read_to_string(CONF).unwrap(), former, "and it is taken back");
    });
}

#[test]
fn a_setting_leaves_the_resolver_alone_and_takes_back_what_was_done() {
    on_machine(async |_| {
        let former = format!("nameserver {UPSTREAM}\n");
        fs::write(CONF, &former).unwrap();
        let settings = settings();
        let off = NamesSettings { resolver: ResolverChoice::Off, ..settings.clone() };
        let _served = serve(NamesTable::example(), &[]).await;
        let resolver = HostResolver::new(&off, "wg0", own());
        assert_eq!(resolver.apply(&mesh(1)).await.done.len(), 0);
        assert_eq!(resolver.upstreams(&mesh(1)).await.unwrap().len(), 1, "what is forwarded has to go somewhere");
        HostResolver::new(&settings, "wg0", own()).apply(&mesh(1)).await;
        assert_ne!(fs::read_to_string(CONF).unwrap(), former);
        resolver.apply(&mesh(1)).await;
        assert_eq!(fs::read_to_string(CONF).unwrap(), former);
    });
}

#[test]
fn the_servers_of_a_new_lease_are_taken_over() {
    on_machine(async |folder| {
        let _upstream = upstream(folder.path()).await;
        fs::write(CONF, "nameserver 192.0.2.1\n").unwrap();
        let settings = settings();
        let served = serve_with(&settings, NamesTable::example(), &[]).await;
        let resolver = HostResolver::new(&settings, "wg0", own());
        resolver.apply(&mesh(1)).await;
        // A DHCP client writes its own over ours.
        fs::write("/etc/resolv.conf.new", format!("nameserver {UPSTREAM}\n")).unwrap();
        fs::rename("/etc/resolv.conf.new", CONF).unwrap();
        let report = resolver.apply(&mesh(1)).await;
        served.server.set_upstreams(report.upstreams);
        assert_eq!(getent("s2").await.as_deref(), Some("100.64.0.2"));
        assert_eq!(getent("www.example.com").await.as_deref(), Some("192.0.2.80"));
        resolver.restore().await;
        assert_eq!(fs::read_to_string(CONF).unwrap(), format!("nameserver {UPSTREAM}\n"));
    });
}
