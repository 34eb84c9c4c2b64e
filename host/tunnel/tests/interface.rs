//! Real interfaces in network namespaces: other people's `ping`, `wg`, `iperf3` and `wireguard-go` must be content.

#[path = "support/namespaces.rs"]
mod namespaces;

use std::fs;
use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use namespaces::{Daemon, Lab, tunnel_program, wait_for};
use serde_json::{Value, json};
use servos_tunnel::limits;

#[test]
fn two_tunnels_reach_each_other_and_wg_shows_it() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let _tunnels = lab.start_both();
    one.ping(&two.address);
    two.ping(&one.address);
    let key = two.key.public_key().to_string();
    assert_eq!(one.wg("public-key"), one.key.public_key().to_string());
    assert_eq!(one.wg("listen-port"), "51820");
    assert_eq!(one.wg("peers"), key);
    assert_eq!(one.wg("endpoints"), format!("{key}\t{}:51820", two.v4));
    assert_eq!(one.wg("allowed-ips"), format!("{key}\t{}/32", two.address));
    let handshake: u64 = one.wg("latest-handshakes").split('\t').nth(1).unwrap().parse().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now - handshake < 300, "{handshake} is not of these minutes");
    let moved = one.wg("transfer");
    assert!(moved.split('\t').skip(1).all(|bytes| bytes.parse::<u64>().unwrap() > 500), "{moved}");
    assert!(one.fails("wg", &["set", &one.interface, "listen-port", "1"]), "the mesh decides");
    assert_eq!(one.wg("listen-port"), "51820");
    assert_eq!(fs::metadata(one.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = one.run("ip", &["-json", "address", "show", "dev", &one.interface]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["mtu"], 1_420);
    let v4 = shown[0]["addr_info"].as_array().unwrap().iter().find(|info| info["family"] == "inet").unwrap();
    assert_eq!((&v4["local"], &v4["prefixlen"]), (&json!(one.address), &json!(10)));
}

#[test]
fn ipv6_outside_works_too() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let mut settings = lab.settings(0);
    settings["peers"][0]["endpoint"] = json!(format!("[{}]:51820", two.v6));
    let _one = lab.start(0, &settings);
    // The answering side learns the endpoint from the handshake.
    let mut settings = lab.settings(1);
    settings["peers"][0]["endpoint"] = Value::Null;
    let _two = lab.start(1, &settings);
    one.ping(&two.address);
    two.ping(&one.address);
    assert!(two.wg("endpoints").ends_with(&format!("[{}]:51820", one.v6)));
}

#[test]
fn streams_run_both_ways_in_segments_of_any_size() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let mut tunnels = lab.start_both();
    for arguments in [&["-t", "2"][..], &["-t", "2", "-R"], &["-t", "1", "-M", "200"]] {
        let bits = one.stream(two, arguments);
        assert!(bits > 1e6, "{arguments:?}: {bits} bit/s");
    }
    for tunnel in &mut tunnels {
        let drops = tunnel.ask("counters")["drops"].clone();
        for reason in ["tun_read_failed", "tun_write_failed", "send_failed", "too_long_for_way", "invalid_transport"] {
            assert_eq!(drops[reason], 0, "{reason}");
        }
        let counters = tunnel.ask("counters");
        let (packets, reads) = (counters["tx_packets"].as_u64().unwrap(), counters["tun_reads"].as_u64().unwrap());
        assert!(packets > reads, "segmentation offload is on: {packets} packets in {reads} reads");
    }
}

#[test]
fn changes_during_a_ping_flood_lose_nothing() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [mut first, _second] = lab.start_both();
    one.ping(&two.address);
    let mut flood = one.command("ping");
    flood.args(["-q", "-i", "0.001", "-c", "3000", "-W", "20", &two.address]).stdout(Stdio::piped());
    let mut flood = flood.spawn().unwrap();
    let mut settings = lab.settings(0);
    let mut applied = 0;
    while flood.try_wait().unwrap().is_none() {
        applied += 1;
        let key = servos_tunnel::PrivateKey::generate().public_key().to_string();
        let peers = settings["peers"].as_array_mut().unwrap();
        peers.truncate(1 + applied % 50);
        peers.push(
            json!({ "public_key": key, "endpoint": "192.0.2.9:1", "address": format!("100.64.1.{}", 1 + peers.len()) }),
        );
        lab.write(0, &settings);
        assert_eq!(first.ask("apply"), json!({ "ended": 0, "rotated": 0, "endpoints": 0, "untouched": 1 }));
    }
    let report = flood.wait_with_output().unwrap();
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("3000 received"), "{applied} changes: {report}");
    assert!(applied > 10, "{applied} changes");
    assert_eq!(first.counter("/handshakes"), 1);
}

#[test]
fn idle_sessions_go_and_come_back() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let mut settings = lab.settings(0);
    settings["session_idle_ms"] = json!(1_500);
    let mut first = lab.start(0, &settings);
    let _second = lab.start(1, &lab.settings(1));
    one.ping(&two.address);
    assert_eq!(first.ask("sessions").as_array().unwrap().len(), 1);
    wait_for("the session to go", || first.ask("sessions").as_array().unwrap().is_empty());
    assert_eq!(one.wg("peers"), "");
    one.ping(&two.address);
    assert_eq!(first.counter("/sessions_made"), 2);
}

#[test]
fn debians_wireguard_go_is_content() {
    let lab = Lab::new();
    let [ours, theirs] = &lab.machines;
    let mut tunnel = lab.start(0, &lab.settings(0));
    let mut other = theirs.command("wireguard-go");
    other.args(["-f", &theirs.interface]).env("WG_PROCESS_FOREGROUND", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let mut other = other.spawn().unwrap();
    wait_for("wireguard-go", || !theirs.fails("wg", &["show", &theirs.interface]));
    let key = lab.folder.path().join("key");
    fs::write(&key, theirs.key.to_base64().as_bytes()).unwrap();
    let (key, peer) = (key.to_str().unwrap(), ours.key.public_key().to_string());
    theirs.run(
        "wg",
        &[
            "set",
            &theirs.interface,
            "private-key",
            key,
            "listen-port",
            "51820",
            "peer",
            &peer,
            "allowed-ips",
            &format!("{}/32", ours.address),
            "endpoint",
            &format!("{}:51820", ours.v4),
        ],
    );
    theirs.run("ip", &["address", "add", &format!("{}/10", theirs.address), "dev", &theirs.interface]);
    theirs.run("ip", &["link", "set", &theirs.interface, "mtu", "1420", "up"]);
    ours.ping(&theirs.address);
    theirs.ping(&ours.address);
    assert!(ours.stream(theirs, &["-t", "1"]) > 1e6);
    assert!(ours.stream(theirs, &["-t", "1", "-R"]) > 1e6);
    assert!(theirs.wg("latest-handshakes").split('\t').nth(1).unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(tunnel.counter("/drops/invalid_transport"), 0);
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn what_is_too_long_for_the_way_is_cut_and_passes() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [mut first, _second] = lab.start_both();
    one.ping(&two.address);
    for machine in [one, two] {
        machine.run("ip", &["link", "set", &machine.underlay, "mtu", "1300"]);
    }
    one.run("ping", &["-c", "1", "-W", "20", "-s", "1300", &two.address]);
    // Segments that are too long for one call leave one by one.
    assert!(one.stream(two, &["-t", "1"]) > 1e6);
    for reason in ["too_long_for_way", "send_failed"] {
        assert_eq!(first.counter(&format!("/drops/{reason}")), 0, "{reason}");
    }
    assert_eq!(first.ask("mtu 1280"), json!({ "Ok": null }));
    for machine in [one, two] {
        machine.run("ip", &["link", "set", &machine.underlay, "mtu", "1500"]);
    }
    one.ping(&two.address);
    assert_eq!(first.ask("mtu 100")["Err"], "MTU 100 is not between 1280 and 65424");
}

#[test]
fn an_interface_that_is_down_for_a_while_comes_back() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let _tunnels = lab.start_both();
    one.ping(&two.address);
    one.run("ip", &["link", "set", &one.interface, "down"]);
    assert!(one.fails("ping", &["-c", "1", "-W", "1", &two.address]));
    one.run("ip", &["link", "set", &one.interface, "up"]);
    wait_for("the tunnel", || !one.fails("ping", &["-c", "1", "-W", "1", &two.address]));
}

#[test]
fn what_is_taken_is_named_with_its_remedy() {
    let lab = Lab::new();
    let [one, _] = &lab.machines;
    let running = lab.start(0, &lab.settings(0));
    let mut settings = lab.settings(0);
    settings["interface"] = json!(format!("{}b", &one.interface[..13.min(one.interface.len())]));
    assert_refused(&lab, &settings, &["UDP port 51820 is in use", "ss -lunp", "listen_port"]);
    let mut settings = lab.settings(0);
    settings["listen_port"] = json!(51_821);
    assert_refused(&lab, &settings, &["exists already", "ip link delete"]);
    running.quit();
    assert!(!one.socket().exists() && one.fails("ip", &["link", "show", &one.interface]), "all is gone");
    settings["interface"] = json!("no/name");
    assert_refused(&lab, &settings, &["no name for an interface"]);
    settings["interface"] = json!(one.interface);
    settings["mtu"] = json!(500);
    assert_refused(&lab, &settings, &["MTU 500 is not between 1280"]);
}

#[test]
fn a_dead_process_socket_is_replaced_and_a_live_one_respected() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    fs::create_dir_all("/var/run/wireguard").unwrap();
    let live = UnixListener::bind(one.socket()).unwrap();
    assert_refused(&lab, &lab.settings(0), &["another process serves", one.socket().to_str().unwrap()]);
    drop(live);
    let first = lab.start(0, &lab.settings(0));
    let _second = lab.start(1, &lab.settings(1));
    one.ping(&two.address);
    first.kill();
    assert!(one.socket().exists());
    let _again = lab.start(0, &lab.settings(0));
    one.ping(&two.address);
    assert_eq!(one.wg("peers"), two.key.public_key().to_string());
}

#[test]
fn without_the_device_or_the_right_it_says_what_to_do() {
    let lab = Lab::new();
    lab.write(0, &lab.settings(0));
    let file = lab.file(0);
    let mut unprivileged = lab.machines[0].command("setpriv");
    unprivileged.args(["--bounding-set=-net_admin", "--"]).arg(tunnel_program()).arg(&file);
    assert_says(&mut unprivileged, &["not permitted", "CAP_NET_ADMIN"]);
    let mut deviceless = lab.machines[0].command("unshare");
    deviceless.args(["-m", "sh", "-c", "mount -t tmpfs none /dev/net && exec \"$0\" \"$1\""]);
    deviceless.arg(tunnel_program()).arg(&file);
    assert_says(&mut deviceless, &["no /dev/net/tun", "modprobe tun"]);
}

#[test]
fn the_mtu_follows_link_and_route() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let mut watch = one.command(tunnel_program());
    let mut watch = watch.args(["--mtu", &two.v4]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "1420");
    one.run("ip", &["link", "set", &one.underlay, "mtu", "1400"]);
    assert_eq!(lines.next().unwrap(), "1320");
    one.run("ip", &["route", "add", &format!("{}/32", two.v4), "dev", &one.underlay, "mtu", "1380"]);
    assert_eq!(lines.next().unwrap(), "1300");
    one.run("ip", &["link", "set", &one.underlay, "mtu", "1200"]);
    assert_eq!(lines.next().unwrap(), "1280", "never below what IPv6 asks for");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn the_way_decides_the_mtu_within_bounds() {
    let mtus = [0, 576, 1_500, 9_000, 65_536, u32::MAX].map(servos_tunnel::mtu::over);
    assert_eq!(mtus, [1_280, 1_280, 1_420, 8_920, 8_920, 8_920]);
}

/// Binds port 9 of its argument, and says nothing.
const STAY_SILENT: &str = "import socket,sys;s=socket.socket(2,2);s.bind((sys.argv[1],9));sys.stdin.read()";

/// 500 datagrams from each of 40 ports to port 9 of its argument.
const SEND_MANY_FLOWS: &str = "
import socket, sys
for port in range(3000, 3040):
    s = socket.socket(2, 2)
    s.bind(('', port))
    s.connect((sys.argv[1], 9))
    for _ in range(500):
        s.send(bytes(100))
";

#[test]
fn flows_stay_in_order_and_are_spread() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let tunnels = [0, 1].map(|side| {
        let mut settings = lab.settings(side);
        settings["lanes"] = json!(4);
        lab.start(side, &settings)
    });
    one.ping(&two.address);
    for way in [&[][..], &["-R"]] {
        let server = ["-s", "-1", "-B", &two.address];
        let mut server = two.command("iperf3").args(server).stdout(Stdio::null()).spawn().unwrap();
        wait_for("iperf3 to listen", || two.run("ss", &["-tln"]).contains(":5201"));
        let flows = ["-c", &two.address, "-u", "-P", "12", "-b", "4M", "-l", "500", "-t", "3", "--json"];
        let report: Value = serde_json::from_str(&one.run("iperf3", &[&flows[..], way].concat())).unwrap();
        server.wait().unwrap();
        let streams = report["end"]["streams"].as_array().unwrap();
        assert_eq!(streams.len(), 12);
        for stream in streams.iter().map(|stream| &stream["udp"]) {
            assert!(stream["packets"].as_u64().unwrap() > 1_000, "{stream}");
            assert_eq!(stream["out_of_order"], 0, "{way:?}: {stream}");
        }
    }
    // What is answered goes the way of its answers, which is the peer's. Of what is not, each flow goes its own.
    let mut silent = two.command("python3");
    let mut silent = silent.args(["-c", STAY_SILENT, &two.address]).stdin(Stdio::piped()).spawn().unwrap();
    wait_for("the silent one", || two.run("ss", &["-uln"]).contains(&format!("{}:9 ", two.address)));
    one.run("python3", &["-c", SEND_MANY_FLOWS, &two.address]);
    silent.kill().unwrap();
    silent.wait().unwrap();
    let busy = busy_threads(tunnels[0].pid(), "wg-tun-");
    assert!(busy >= 2, "{busy} of the threads from the interface to the network did something");
}

#[test]
fn threads_that_move_packets_go_before_programs_and_no_other_does() {
    let lab = Lab::new();
    let tunnels = lab.start_both();
    let pid = tunnels[0].pid();
    wait_for("the niceness of the threads", || {
        let threads = niceness(pid);
        // The program's own: whoever started it may have asked for another than 0.
        let own = threads.iter().find(|(task, ..)| *task == pid).map_or(0, |(.., nice)| *nice);
        let moves = |name: &str| name.starts_with("wg-tun-") || name.starts_with("wg-udp-");
        let movers = threads.iter().filter(|(_, name, _)| moves(name)).count();
        movers >= 2
            && threads.iter().all(|(_, name, nice)| *nice == if moves(name) { limits::PACKETS_NICENESS } else { own })
    });
}

/// The threads of a process: id, name, niceness.
fn niceness(pid: u32) -> Vec<(u32, String, i32)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
    let read = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        // `id (name) state …`; niceness is the 19th field (proc_pid_stat(5)).
        let (id, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        Some((id.parse().ok()?, name.to_owned(), rest.split(' ').nth(16)?.parse().ok()?))
    };
    tasks.filter_map(read).collect()
}

/// 5,000 datagrams through each of the interfaces that follow its first argument, to port 9 of that.
const SEND_THROUGH_EACH: &str = "
import socket, sys, time
for interface in sys.argv[2:]:
    s = socket.socket(2, 2)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    s.connect((sys.argv[1], 9))
    for at in range(5000):
        try:
            s.send(bytes(100))
        except ConnectionRefusedError:
            pass
        if at % 100 == 0:
            time.sleep(0.002)
";

/// Eight peers, each with a port of its own, are a chance of one in 16,384 to be on one lane.
#[test]
fn peers_are_spread_over_the_lanes_of_who_receives() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let mut receiver = lab.settings(1);
    receiver["lanes"] = json!(4);
    receiver["peers"] = json!([]);
    let senders = Vec::from_iter((0..8_u16).map(|number| {
        let key = servos_tunnel::PrivateKey::generate();
        let mut settings = lab.settings(0);
        settings["interface"] = json!(format!("{}s{number}", &one.interface[..13.min(one.interface.len())]));
        settings["private_key"] = json!(*key.to_base64());
        settings["listen_port"] = json!(40_000 + number);
        settings["address"] = json!(format!("100.64.1.{}", number + 1));
        receiver["peers"].as_array_mut().unwrap().push(json!({
            "public_key": key.public_key().to_string(),
            "endpoint": format!("{}:{}", one.v4, 40_000 + number),
            "address": settings["address"],
        }));
        settings
    }));
    let mut receiving = lab.start(1, &receiver);
    let sending = Vec::from_iter(senders.iter().map(|settings| lab.start(0, settings)));
    let interfaces = Vec::from_iter(senders.iter().map(|settings| settings["interface"].as_str().unwrap()));
    one.run("python3", &[&["-c", SEND_THROUGH_EACH, &two.address][..], &interfaces].concat());
    wait_for("most of it", || receiving.counter("/rx_packets") > 8 * 2_500);
    let busy = busy_threads(receiving.pid(), "wg-udp-");
    assert!(busy >= 2, "{busy} of the threads from the network to the interface did something");
    sending.into_iter().for_each(Daemon::quit);
}

#[test]
fn a_shared_port_is_shared_with_nobody_else() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let mut settings = lab.settings(0);
    settings["lanes"] = json!(3);
    let _first = lab.start(0, &settings);
    let _second = lab.start(1, &lab.settings(1));
    one.ping(&two.address);
    settings["interface"] = json!(format!("{}b", &one.interface[..13.min(one.interface.len())]));
    for lanes in [1, 3] {
        settings["lanes"] = json!(lanes);
        assert_refused(&lab, &settings, &["UDP port 51820 is in use"]);
    }
    two.ping(&one.address);
}

fn assert_refused(lab: &Lab, settings: &Value, words: &[&str]) {
    lab.write(0, settings);
    assert_says(&mut lab.command(0), words);
}

fn assert_says(command: &mut Command, words: &[&str]) {
    let output = command.stdin(Stdio::null()).output().expect("the program can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it should have been refused");
    assert_eq!(said.trim().lines().count(), 1, "one clear line: {said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// Threads of a process (of the program that `ip netns exec` became) with names that begin so, and that carried packets:
/// those that had a core for longer than it takes to start and wait.
fn busy_threads(pid: u32, names: &str) -> usize {
    const STARTING: u64 = 5_000_000;
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten().map(|task| task.path());
    let carried = |task: &std::path::PathBuf| {
        let read = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
        // The first number is nanoseconds on a core (Linux `Documentation/scheduler/sched-stats.rst`).
        let on_core = read("schedstat").split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0_u64);
        read("comm").starts_with(names) && on_core > STARTING
    };
    tasks.filter(carried).count()
}
