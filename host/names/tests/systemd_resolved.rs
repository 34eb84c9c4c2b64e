//! Real systemd-resolved on a bus of its own. It is Debian's package, unpacked and not installed: installing it would take
//! over the resolver of the machine that the tests run on.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::machine::{Daemon, Dnsmasq, on_machine, sh, until};
use common::names_table::NamesTable;
use common::{Served, dig_at, mesh, mesh_of, own, run, section, serve_with, status};
use servos_names::{HostResolver, InCharge, NamesSettings, restore_resolver};

const STUB: &str = "127.0.0.53";
const UPSTREAM: &str = "127.1.1.1";
const BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// A host where systemd-resolved is in charge, with one upstream.
struct Host {
    root: PathBuf,
    resolved: Option<Daemon>,
    _bus: Daemon,
    _upstream: Dnsmasq,
}

impl Host {
    async fn new(folder: &Path) -> Self {
        let system = Path::new("/lib/systemd/systemd-resolved").exists();
        let root = if system { PathBuf::from("/") } else { servos_lab::tools().join("systemd-resolved") };
        assert!(
            root.join("lib/systemd/systemd-resolved").exists(),
            "systemd-resolved is not in {}: run `cargo xtask setup`",
            root.display()
        );
        sh("mount -t tmpfs tmpfs /run");
        sh("mkdir -p /run/systemd/resolve /run/systemd/netif/links /run/dbus");
        // The user that it becomes.
        sh("grep -q ^systemd-resolve: /etc/group || echo 'systemd-resolve:x:989:' >>/etc/group");
        sh(
            "grep -q ^systemd-resolve: /etc/passwd || echo 'systemd-resolve:x:989:989::/:/usr/sbin/nologin' >>/etc/passwd",
        );
        sh("chown systemd-resolve: /run/systemd/resolve");
        // Its own group must find the bus; a folder made for one user hides it.
        sh("mkdir -p /etc/systemd/resolved.conf.d && chmod 755 /etc/systemd /etc/systemd/resolved.conf.d");
        fs::write(
            "/etc/systemd/resolved.conf.d/test.conf",
            format!("[Resolve]\nDNS={UPSTREAM}\nFallbackDNS=\nDNSSEC=no\n"),
        )
        .unwrap();
        let stub = folder.join("stub");
        fs::write(&stub, format!("nameserver {STUB}\noptions edns0 trust-ad\nsearch .\n")).unwrap();
        fs::remove_file("/etc/resolv.conf").unwrap();
        fs::copy(&stub, "/etc/resolv.conf").unwrap();
        let conf = folder.join("bus.conf");
        fs::write(
            &conf,
            format!(
                "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
                 \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\"><busconfig><type>system</type>\
                 <listen>{BUS}</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/>\
                 <allow own=\"*\"/><allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>"
            ),
        )
        .unwrap();
        let conf = format!("--config-file={}", conf.display());
        let bus = Daemon::start(Command::new("dbus-daemon").args([&conf, "--nofork", "--nopidfile"]));
        until(|| async { Path::new("/run/dbus/system_bus_socket").exists().then_some(()) }).await;
        let records = ["--host-record=www.example.com,192.0.2.80", "--host-record=api.example.org,192.0.2.81"];
        let upstream = Dnsmasq::start(folder, UPSTREAM, &records).await;
        let mut host = Self { root, resolved: None, _bus: bus, _upstream: upstream };
        host.start().await;
        host
    }

    async fn start(&mut self) {
        let mut command = Command::new(self.root.join("lib/systemd/systemd-resolved"));
        if self.root != Path::new("/") {
            command.env("LD_LIBRARY_PATH", self.root.join("usr/lib/x86_64-linux-gnu/systemd"));
        }
        self.resolved = Some(Daemon::start(&mut command));
        until(|| async { dig_at(STUB, "www.example.com A").await.contains("192.0.2.80").then_some(()) }).await;
    }

    /// What `resolvectl` shows of the mesh's interface.
    async fn shown(&self) -> String {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu/systemd");
        let command = format!(
            "LD_LIBRARY_PATH={} {} --no-pager status wg0",
            libraries.display(),
            self.root.join("usr/bin/resolvectl").display()
        );
        run("sh", &["-c", &command]).await
    }
}

fn settings() -> NamesSettings {
    let mut settings = NamesSettings::default();
    settings.paths.system_bus = Some(BUS.into());
    settings
}

async fn served(resolver: &HostResolver) -> Served {
    let upstreams = resolver.upstreams(&mesh(1)).await.unwrap();
    assert_eq!(upstreams, [format!("{UPSTREAM}:53").parse().unwrap()]);
    serve_with(&settings(), NamesTable::example(), &upstreams).await
}

async fn answer(question: &str) -> Vec<String> {
    section(&dig_at(STUB, question).await, "ANSWER")
}

#[test]
fn names_of_the_mesh_come_through_systemd_resolved_and_all_else_as_before() {
    on_machine(async |folder| {
        let host = Host::new(folder.path()).await;
        let resolver = HostResolver::new(&settings(), "wg0", own());
        let served = served(&resolver).await;
        let before = host.shown().await;
        let conf = fs::read("/etc/resolv.conf").unwrap();

        let report = resolver.apply(&mesh(1)).await;
        assert_eq!(report.in_charge, InCharge::Resolved);
        assert_eq!(report.problems, Vec::<String>::new(), "{:?}", report.done);
        assert_eq!(resolver.apply(&mesh(1)).await.done.len(), 0, "what is set is not set again");
        assert_eq!(fs::read("/etc/resolv.conf").unwrap(), conf, "the file is not ours to change");

        assert_eq!(answer("postgres.mesh.internal A").await.len(), 2);
        assert_eq!(answer("-x 100.64.0.2").await, ["2.0.64.100.in-addr.arpa. 5 IN PTR s2.mesh.internal."]);
        assert_eq!(answer("api.example.org A").await, ["api.example.org. 5 IN A 100.64.0.1"], "a service's host");
        let asked = served.server.counters();
        assert!(answer("www.example.com A").await[0].ends_with("192.0.2.80"));
        assert_eq!(served.server.counters(), asked, "what is not the mesh's does not come here");
        // By bare name, as a program asks: over the bus, with the search domain.
        let libraries = host.root.join("usr/lib/x86_64-linux-gnu/systemd");
        let query = format!(
            "LD_LIBRARY_PATH={} {} --no-pager query -4 postgres",
            libraries.display(),
            host.root.join("usr/bin/resolvectl").display()
        );
        let printed = run("sh", &["-c", &query]).await;
        assert!(printed.contains("100.64.0.2") && printed.contains("postgres.mesh.internal"), "{printed}");
        let shown = host.shown().await;
        for part in ["DNS Servers: 100.64.0.1", "-DefaultRoute", "-LLMNR", "-mDNS", "-DNSOverTLS"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }

        // Another domain.
        served.mesh.send_replace(mesh_of("other.example", 2));
        assert_eq!(resolver.apply(&mesh_of("other.example", 2)).await.problems, Vec::<String>::new());
        assert_eq!(answer("postgres.other.example A").await.len(), 2);

        let report = restore_resolver(&settings(), "wg0").await;
        assert_eq!((report.done.len(), report.problems.len()), (2, 0), "{report:?}");
        assert_eq!(host.shown().await, before);
        assert_eq!(status(&dig_at(STUB, "postgres.other.example A").await), "REFUSED");
        assert_eq!(restore_resolver(&settings(), "wg0").await.done.len(), 0);
    });
}

#[test]
fn a_restart_of_systemd_resolved_is_noticed_and_made_good() {
    on_machine(async |folder| {
        let mut host = Host::new(folder.path()).await;
        let resolver = HostResolver::new(&settings(), "wg0", own());
        let _served = served(&resolver).await;
        resolver.apply(&mesh(1)).await;
        let _watch = resolver.watch();
        // The watch is in place once it has asked the bus; a name that comes and goes shows nothing of that.
        host.resolved = None;
        // It keeps what it was told across a restart in its state folder: a crash that loses it is the hard case.
        sh("rm -rf /run/systemd/resolve/netif");
        host.start().await;
        until(|| async { (answer("postgres.mesh.internal A").await.len() == 2).then_some(()) }).await;

        resolver.restore().await;
        host.resolved = None;
        host.start().await;
        assert!(!host.shown().await.contains("100.64.0.1"), "what was put back stays so");
    });
}

#[test]
fn without_the_meshs_interface_nothing_is_set() {
    on_machine(async |folder| {
        let _host = Host::new(folder.path()).await;
        let resolver = HostResolver::new(&settings(), "wg7", own());
        let _served = served(&resolver).await;
        let report = resolver.apply(&mesh(1)).await;
        assert_eq!(report.done.len(), 0);
        assert!(report.problems[0].contains("does not know the mesh's interface yet"), "{report:?}");
    });
}
