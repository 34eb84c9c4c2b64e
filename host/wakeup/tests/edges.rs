//! Where the filter's verdicts end: what no server can have, older kernels, reuse of an address, missing rights.

mod stage;

use std::net::UdpSocket;
use std::process::Command;

use servos_wakeup::{Hook, WakeupError, WakeupFilter};

use stage::{NOBODY, PEER, address, object, on_stage, on_stage_by, read, table};

/// Packets a destination: more than the kernel's own multicast, which is foreign too.
const PACKETS: usize = 100;

#[test]
fn what_no_server_can_have_ends_as_foreign() {
    on_stage(async |stage| {
        ip(&["route", "add", "10.0.0.0/8", "dev", "wg0"]);
        stage.socket.set_broadcast(true).expect("broadcast");
        for destination in ["10.1.2.3", "100.64.0.0", "100.127.255.255"] {
            let before = stage.counters().foreign;
            stage.send(destination, PACKETS);
            assert!(stage.counters().foreign >= before + PACKETS as u64, "{destination}: {:?}", stage.counters());
            assert_eq!(stage.read(0), 0, "{destination}");
        }
    });
}

#[test]
fn ipv6_ends_as_foreign() {
    on_stage(async |stage| {
        ip(&["address", "add", "fd00::1/64", "dev", "wg0", "nodad"]);
        let socket = UdpSocket::bind("[fd00::1]:0").expect("a socket");
        let before = stage.counters().foreign;
        for _ in 0..PACKETS {
            // What the filter drops may come back as an error.
            let _ = socket.send_to(b"x", "[fd00::2]:9");
        }
        assert!(stage.counters().foreign >= before + PACKETS as u64, "{:?}", stage.counters());
        let mut packet = [0; 2_048];
        assert!(stage.device.recv(&mut packet).is_err(), "a packet came through: {:?}", &packet[..40]);
    });
}

#[test]
fn a_filter_that_is_dropped_lets_everything_pass() {
    for hook in [Hook::Tcx, Hook::Clsact] {
        on_stage_by(hook, async |stage| {
            stage.send(NOBODY, 3);
            assert_eq!(stage.read(0), 0);

            drop(stage.filter);

            stage.socket.send_to(b"x", (NOBODY, 9)).expect("sent");
            assert_eq!(read(&stage.device, 1), 1);
        });
    }
}

#[test]
fn clsact_serves_where_tcx_is_missing() {
    on_stage_by(Hook::Clsact, async |mut stage| {
        stage.send(NOBODY, 5);
        stage.send(PEER, 4);

        assert_eq!(stage.read(4), 4);
        assert_eq!((stage.counters().unknown, stage.counters().woke), (5, 4));
        assert_eq!(stage.wake().await, address(PEER));
        let disciplines = Command::new("tc").args(["qdisc", "show", "dev", "wg0"]).output().expect("tc");
        assert!(String::from_utf8_lossy(&disciplines.stdout).contains("clsact"), "not by clsact");

        drop(stage.filter);
        // The queueing discipline is still there, as somebody else's may be.
        WakeupFilter::attach_by(Hook::Clsact, &object(), "wg0", &table(&[PEER])).expect("attached a second time");
    });
}

#[test]
fn what_a_killed_agent_left_by_clsact_does_not_stand_in_the_way() {
    on_stage_by(Hook::Clsact, async |stage| {
        // As if it had been killed: nobody detaches it.
        std::mem::forget(stage.filter);
        let known = table(&[PEER, NOBODY]);
        let again = WakeupFilter::attach_by(Hook::Clsact, &object(), "wg0", &known).expect("attached");
        stage.socket.send_to(b"x", (NOBODY, 9)).expect("known by now");
        assert_eq!(read(&stage.device, 1), 1);
        assert_eq!(again.counters().expect("counters").woke, 1);

        std::mem::forget(again);
        WakeupFilter::remove_left("wg0").expect("removed");
        stage.socket.send_to(b"x", ("100.64.0.9", 9)).expect("nobody is asked");
        assert_eq!(read(&stage.device, 1), 1);
        WakeupFilter::remove_left("wg0").expect("nothing there");
    });
}

#[test]
fn whoever_gets_an_address_next_starts_afresh() {
    on_stage(async |mut stage| {
        stage.send(PEER, 1);
        assert_eq!(stage.wake().await, address(PEER));
        stage.filter.set_known(&table(&[])).expect("left");
        stage.filter.set_known(&table(&[PEER])).expect("joined");
        stage.send(PEER, 1);
        assert_eq!(stage.wake().await, address(PEER));

        stage.filter.set_active(address(PEER), true).expect("active");
        stage.filter.set_known(&table(&[])).expect("left");
        stage.filter.set_known(&table(&[PEER])).expect("joined");
        stage.send(PEER, 1);
        assert_eq!(stage.wake().await, address(PEER));
        assert_eq!(stage.counters().active, 0);
    });
}

#[test]
fn without_rights_the_error_names_them() {
    let own = std::env::current_exe().expect("this program");
    let child = Command::new("setpriv")
        .args(["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"])
        .arg(own)
        .args(["--ignored", "--exact", "child_without_rights", "--nocapture"])
        .output()
        .expect("setpriv");
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the child of without_rights_the_error_names_them"]
fn child_without_rights() {
    let error = WakeupFilter::attach(&object(), "lo", &table(&[PEER])).err().expect("no rights");
    assert!(matches!(error, WakeupError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("CAP_BPF and CAP_NET_ADMIN"), "{error}");
}

/// Of iproute2, in the thread's own namespace.
fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().expect("iproute2").success(), "ip {arguments:?}");
}
