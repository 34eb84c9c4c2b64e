//! An interface that stays when its tunnel ends, and the next tunnel that takes it over.

#[path = "support/namespaces.rs"]
mod namespaces;

use std::process::Stdio;

use namespaces::{Lab, Machine, wait_for};
use serde_json::{Value, json};

/// Settings of one end whose interface stays.
fn staying(lab: &Lab, side: usize) -> Value {
    let mut settings = lab.settings(side);
    settings["stays"] = json!(true);
    settings
}

/// What `ip -json link show` says of the interface.
fn link(machine: &Machine) -> Value {
    let shown = machine.run("ip", &["-json", "link", "show", "dev", &machine.interface]);
    serde_json::from_str::<Value>(&shown).expect("JSON")[0].take()
}

fn addresses(machine: &Machine) -> Vec<String> {
    let shown = machine.run("ip", &["-json", "-4", "address", "show", "dev", &machine.interface]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let infos = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
    infos.iter().map(|info| format!("{}/{}", info["local"].as_str().expect("text"), info["prefixlen"])).collect()
}

/// The interface by which packets to `address` leave.
fn way(machine: &Machine, address: &str) -> String {
    let shown = machine.run("ip", &["-json", "route", "get", address]);
    serde_json::from_str::<Value>(&shown).expect("JSON")[0]["dev"].as_str().expect("text").to_owned()
}

#[test]
fn a_stream_goes_on_across_a_kill_and_nothing_leaves_in_clear_meanwhile() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    one.run("ip", &["route", "add", "default", "via", &two.v4]);
    let first = lab.start(0, &staying(&lab, 0));
    let _second = lab.start(1, &lab.settings(1));
    one.run("ip", &["route", "add", "203.0.113.0/24", "dev", &one.interface]);
    let before = link(one);
    let server = ["-s", "-1", "-B", &two.address];
    let mut server = two.command("iperf3").args(server).stdout(Stdio::null()).spawn().expect("iperf3");
    wait_for("iperf3 to listen", || two.run("ss", &["-tln"]).contains(":5201"));
    let arguments = ["-c", &two.address, "-n", "200M", "-b", "400M", "-C", "cubic", "--json"];
    let stream = one.command("iperf3").args(arguments).stdout(Stdio::piped()).spawn().expect("iperf3");
    wait_for("the stream", || two.wg("transfer").split('\t').nth(1).is_some_and(|bytes| bytes.len() > 7));
    first.kill();

    assert!(link(one)["flags"].to_string().contains("NO-CARRIER"), "nobody holds it");
    assert_eq!(way(one, &two.address), one.interface);
    assert_eq!(way(one, "203.0.113.1"), one.interface, "and what others hung on it");

    let _again = lab.start(0, &staying(&lab, 0));
    let after = link(one);
    assert_eq!(after["ifindex"], before["ifindex"], "it is the same");
    assert_eq!(after["mtu"], 1_420);
    assert_eq!(addresses(one), [format!("{}/10", one.address)]);
    assert_eq!(way(one, "203.0.113.1"), one.interface);
    let report = stream.wait_with_output().expect("its report").stdout;
    server.wait().expect("the server");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["error"], Value::Null, "the stream went on");
    assert!(report["end"]["sum_received"]["bytes"].as_u64().expect("a number") >= 200_000_000 - (1 << 20));
}

#[test]
fn nothing_leaves_in_clear_where_the_kernel_overlooks_the_routes_of_what_was_left() {
    for scope in ["all", "default"] {
        let lab = Lab::new();
        let [one, two] = &lab.machines;
        one.run("sysctl", &["-w", &format!("net.ipv4.conf.{scope}.ignore_routes_with_linkdown=1")]);
        one.run("ip", &["route", "add", "default", "via", &two.v4]);
        let _second = lab.start(1, &lab.settings(1));
        let unreachable = ["route", "show", "type", "unreachable"];
        for _ in 0..2 {
            let running = lab.start(0, &staying(&lab, 0));
            one.ping(&two.address);
            assert!(one.run("ip", &unreachable).starts_with("unreachable 100.64.0.0/10"), "{scope}");
            running.kill();
            wait_for("its route to be overlooked", || {
                let found = one.command("ip").args(["route", "get", &two.address]).output().expect("ip");
                let found = String::from_utf8_lossy(&found.stdout).into_owned();
                assert!(found.is_empty() || found.contains(&one.interface), "{scope}: it takes another way: {found}");
                found.is_empty()
            });
        }
        lab.start(0, &lab.settings(0)).quit();
        assert_eq!(one.run("ip", &unreachable), "", "{scope}");
        assert_eq!(way(one, &two.address), one.underlay, "as without a mesh");
    }
}

#[test]
fn it_stays_after_an_orderly_end_and_goes_when_it_is_no_more_to_stay() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    one.run("ip", &["route", "add", "default", "via", &two.v4]);
    lab.start(0, &staying(&lab, 0)).quit();
    assert!(!one.socket().exists(), "nobody answers for it");
    assert_eq!(way(one, &two.address), one.interface);
    lab.start(0, &lab.settings(0)).quit();
    assert!(one.fails("ip", &["link", "show", &one.interface]));
    assert_eq!(way(one, &two.address), one.underlay, "as without a mesh");
}

#[test]
fn what_does_not_fit_is_made_anew() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let _second = lab.start(1, &lab.settings(1));
    lab.start(0, &staying(&lab, 0)).kill();
    let mut index = link(one)["ifindex"].clone();
    let mut settings = staying(&lab, 0);
    // Several queues where it has one, one where it has several, and an address of another commissioning.
    for (lanes, address) in [(3, &*one.address), (1, &*one.address), (1, "100.64.7.7")] {
        settings["lanes"] = json!(lanes);
        settings["address"] = json!(address);
        let running = lab.start(0, &settings);
        assert_ne!(link(one)["ifindex"], index, "{lanes} {address}");
        assert_eq!(addresses(one), [format!("{address}/10")]);
        if address == one.address {
            one.ping(&two.address);
        }
        running.kill();
        index = link(one)["ifindex"].clone();
    }
    one.run("ip", &["link", "set", &one.interface, "down"]);
    settings["address"] = json!(one.address);
    let _last = lab.start(0, &settings);
    one.ping(&two.address);
}

#[test]
fn what_was_left_under_another_name_does_not_take_the_packets() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let _second = lab.start(1, &lab.settings(1));
    lab.start(0, &staying(&lab, 0)).kill();
    let mut settings = staying(&lab, 0);
    settings["interface"] = json!(format!("{}b", &one.interface[..13.min(one.interface.len())]));
    let _renamed = lab.start(0, &settings);
    assert!(one.fails("ip", &["link", "show", &one.interface]), "its route would be before the other's");
    one.ping(&two.address);
}

#[test]
fn an_interface_of_others_is_not_taken() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    // Mesh or not, it is somebody's: a device with an address of its own, and what is no TUN device.
    let tun = ["tuntap", "add", "dev", &one.interface, "mode", "tun"];
    let tap = ["tuntap", "add", "dev", &one.interface, "mode", "tap"];
    let bridge = ["link", "add", &one.interface, "type", "bridge"];
    for (made, address) in [
        (&tun[..], Some("198.51.100.1/24")),
        (&tun, Some("100.64.0.1/32")),
        (&tap, Some("100.64.0.1/10")),
        (&bridge, Some("100.64.0.1/10")),
        (&tun, None),
        (&bridge, None),
    ] {
        one.run("ip", made);
        if let Some(address) = address {
            one.run("ip", &["address", "add", address, "dev", &one.interface]);
        }
        let index = link(one)["ifindex"].clone();
        lab.write(0, &staying(&lab, 0));
        let refused = lab.command(0).output().expect("the tunnel");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("exists already"), "{made:?} {address:?}: {said}");
        assert_eq!(link(one)["ifindex"], index, "{made:?} {address:?}");
        assert_eq!(addresses(one), Vec::from_iter(address));
        one.run("ip", &["link", "delete", &one.interface]);
    }
    // Nor one that a running tunnel has, under the name or another.
    let running = lab.start(0, &staying(&lab, 0));
    let _second = lab.start(1, &lab.settings(1));
    let mut settings = staying(&lab, 0);
    settings["listen_port"] = json!(51_821);
    for lanes in [1, 2] {
        settings["lanes"] = json!(lanes);
        lab.write(0, &settings);
        assert!(!lab.command(0).output().expect("the tunnel").status.success());
        // Its flags say nothing of who holds one that is down.
        one.run("ip", &["link", "set", &one.interface, "down"]);
        assert!(!lab.command(0).output().expect("the tunnel").status.success());
        one.run("ip", &["link", "set", &one.interface, "up"]);
    }
    settings["interface"] = json!(format!("{}b", &one.interface[..13.min(one.interface.len())]));
    settings["address"] = json!("100.64.7.7");
    lab.start(0, &settings).kill();
    one.ping(&two.address);
    running.kill();
}

/// Joins a TUN device as another user than root, with the flags and the name that follow.
const TAKE_HOLD: &str = "
import fcntl, os, struct, sys
device = os.open('/dev/net/tun', os.O_RDWR)
os.setuid(65534)
try:
    fcntl.ioctl(device, 0x400454ca, struct.pack('16sH22x', sys.argv[2].encode(), int(sys.argv[1], 16)))
    print('held')
except OSError as error:
    print(error.strerror)
";

#[test]
fn no_other_user_takes_hold_of_it() {
    let lab = Lab::new();
    let [one, _] = &lab.machines;
    // IFF_TUN, IFF_NO_PI, IFF_VNET_HDR, and IFF_MULTI_QUEUE (`linux/if_tun.h`).
    for (lanes, flags) in [(1, "5001"), (2, "5101")] {
        let take_hold = || one.run("python3", &["-c", TAKE_HOLD, flags, &one.interface]).trim().to_owned();
        let mut settings = staying(&lab, 0);
        settings["lanes"] = json!(lanes);
        let running = lab.start(0, &settings);
        assert_eq!(take_hold(), "Operation not permitted", "{lanes}, while it runs");
        running.kill();
        assert_eq!(take_hold(), "Operation not permitted", "{lanes}, while nobody holds it");
        lab.start(0, &settings).kill();
        assert_eq!(take_hold(), "Operation not permitted", "{lanes}, after it was taken over");
        one.run("ip", &["link", "delete", &one.interface]);
    }
}

#[test]
fn what_others_gave_it_stays_and_is_no_reason_to_refuse_it() {
    let lab = Lab::new();
    let [one, _] = &lab.machines;
    lab.start(0, &staying(&lab, 0)).kill();
    for more in ["192.0.2.77/32", "100.64.9.9/32"] {
        one.run("ip", &["address", "add", more, "dev", &one.interface]);
    }
    let before = link(one)["ifindex"].clone();
    let _again = lab.start(0, &staying(&lab, 0));
    assert_eq!(link(one)["ifindex"], before);
    assert_eq!(addresses(one).len(), 3);
}

#[test]
fn who_was_a_peer_of_the_killed_one_is_asked_for_new_keys_without_a_packet() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let mut settings = staying(&lab, 0);
    settings["sessions"] = json!(lab.folder.path().join("sessions"));
    let mut second = lab.start(1, &lab.settings(1));
    let first = lab.start(0, &settings);
    two.ping(&one.address);
    first.kill();
    let mut again = lab.start(0, &settings);
    // Of itself the other would ask fifteen seconds after it sent in vain; and nobody sends.
    wait_for("keys with the next", || again.counter("/handshakes") == 1);
    assert_eq!((again.counter("/initiations_sent"), second.counter("/initiations_answered")), (1, 1));
    two.ping(&one.address);
    assert_eq!(second.counter("/handshakes"), 2);
}
