//! Segmentation offload of both interfaces, for real: what the kernel refuses whole goes piece by piece, nothing is
//! overtaken, and what an interface does not take is counted.

#[path = "support/namespaces.rs"]
mod namespaces;

use std::process::Stdio;

use namespaces::{Lab, Machine, wait_for};
use serde_json::{Value, json};

/// Sends one buffer that the kernel is to cut: `ADDRESS SEGMENT BYTES`.
const SEND_SEGMENTS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_UDP, 103, int(sys.argv[2]))
s.sendto(bytes(int(sys.argv[3])), (sys.argv[1], 9))
";

/// Says the length of each datagram, until one is empty: `ADDRESS`.
const RECEIVE_LENGTHS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9))
s.settimeout(60)
while n := len(s.recv(65536)):
    print(n, flush=True)
";

/// Sends numbered datagrams in bursts of all sizes, then an empty one, again and again: `ADDRESS COUNT`.
const SEND_NUMBERED: &str = "
import random, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
random.seed(1)
for at in range(int(sys.argv[2])):
    s.send(at.to_bytes(4, 'big') + bytes(random.choice([0, 0, 60, 700, 1380])))
    if random.random() < 0.02:
        time.sleep(0.001)
for _ in range(100):
    try:
        s.send(b'')
    except ConnectionRefusedError:
        break
    time.sleep(0.01)
";

/// Says how many datagrams came, and how many of them after one that was sent later: `ADDRESS`.
const RECEIVE_NUMBERED: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
s.bind((sys.argv[1], 9))
s.settimeout(60)
last, count, overtaken = -1, 0, 0
while d := s.recv(65536):
    at = int.from_bytes(d[:4], 'big')
    count += 1
    overtaken += at < last
    last = max(last, at)
print(count, overtaken)
";

#[test]
fn of_a_batch_that_is_refused_whole_all_pieces_arrive() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [mut first, _second] = lab.start_both();
    one.ping(&two.address);
    let receiver = two.command("python3").args(["-c", RECEIVE_LENGTHS, &two.address]).stdout(Stdio::piped()).spawn();
    let receiver = receiver.unwrap();
    wait_for("the receiver", || two.run("ss", &["-uln"]).contains(&format!("{}:9 ", two.address)));
    // The interface cuts to 1,420 bytes, the way takes 1,300: the kernel does not segment so, and fragments each.
    one.run("ip", &["link", "set", &one.underlay, "mtu", "1300"]);
    one.run("python3", &["-c", SEND_SEGMENTS, &two.address, "1392", "4276"]);
    one.run("python3", &["-c", SEND_SEGMENTS, &two.address, "1000", "3500"]);
    one.run("python3", &["-c", "import socket,sys;socket.socket(2,2).sendto(b'',(sys.argv[1],9))", &two.address]);
    let lengths = String::from_utf8(receiver.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(lengths.lines().collect::<Vec<_>>(), ["1392", "1392", "1392", "100", "1000", "1000", "1000", "500"]);
    for reason in ["send_failed", "too_long_for_way"] {
        assert_eq!(first.counter(&format!("/drops/{reason}")), 0, "{reason}");
    }
}

#[test]
fn tcp_is_told_what_one_call_sends_unless_packets_are_forwarded() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    // What a namespace begins with is the machine's.
    let forward = |machine: &Machine, family: &str, on: u8| {
        machine.run("sysctl", &["-w", &format!("net.{family}.conf.all.forwarding={on}")]);
    };
    let segments = |machine: &Machine| {
        let links: Value =
            serde_json::from_str(&machine.run("ip", &["-d", "-j", "link", "show", &machine.interface])).unwrap();
        links[0]["gso_max_segs"].as_u64().unwrap()
    };
    for machine in [one, two] {
        for family in ["ipv4", "ipv6"] {
            forward(machine, family, 0);
        }
    }
    forward(two, "ipv6", 1);
    let [mut first, _second] = lab.start_both();
    assert_eq!((segments(one), segments(two)), (45, 65_535));
    one.ping(&two.address);
    assert_eq!(segments(one), 45);
    forward(one, "ipv4", 1);
    wait_for("the kernel's own measure", || {
        one.ping(&two.address);
        segments(one) == 65_535
    });
    // With the MTU it is judged anew, also where no packet came since forwarding began.
    for (forwarding, mtu, expected) in [(0, 1_300, 49), (1, 1_420, 65_535)] {
        forward(one, "ipv4", forwarding);
        assert_eq!(first.ask(&format!("mtu {mtu}")), json!({ "Ok": null }));
        assert_eq!(segments(one), expected, "forwarding {forwarding}");
    }
}

#[test]
fn nothing_overtakes_within_a_flow() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let _tunnels = lab.start_both();
    one.ping(&two.address);
    for (from, to) in [(one, two), (two, one)] {
        let receiver = to.command("python3").args(["-c", RECEIVE_NUMBERED, &to.address]).stdout(Stdio::piped()).spawn();
        let receiver = receiver.unwrap();
        wait_for("the receiver", || to.run("ss", &["-uln"]).contains(&format!("{}:9 ", to.address)));
        from.run("python3", &["-c", SEND_NUMBERED, &to.address, "30000"]);
        let said = String::from_utf8(receiver.wait_with_output().unwrap().stdout).unwrap();
        let (count, overtaken) = said.trim().split_once(' ').unwrap();
        assert_eq!(overtaken, "0", "of {count}");
        assert!(count.parse::<u32>().unwrap() > 1_000, "only {count} arrived");
    }
}

/// Sends a stream of buffers that the kernel is to cut, then lone datagrams, each of another flow: `ADDRESS BUFFERS`. One
/// lone flow could share the stream's turns by chance; four do not.
const SEND_A_STREAM_AND_LONE_ONES: &str = "
import socket, sys
stream, *lone = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5))
for s in stream, *lone:
    s.connect((sys.argv[1], 9))
stream.setsockopt(socket.SOL_UDP, 103, 1392)
for _ in range(int(sys.argv[2])):
    stream.send(bytes(40 * 1392))
for s in lone:
    s.send(b'lone')
stream.send(b'end')
";

/// Says how many datagrams came before the first lone one, and how many before the end of the stream: `ADDRESS`.
const RECEIVE_UNTIL_THE_END: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
s.bind((sys.argv[1], 9))
s.settimeout(60)
before, count = None, 0
while (d := s.recv(65536)) != b'end':
    if d == b'lone' and before is None:
        before = count
    count += 1
print(before, count)
";

/// Lets a stream of so many buffers and the lone packets wait in the interface's queue before the tunnel looks: how many
/// datagrams came before the first lone one, how many in all, how many were too much, and how many waited too long.
fn a_stream_and_lone_packets(buffers: u32) -> (u32, u32, u64, u64) {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [mut first, _second] = lab.start_both();
    one.ping(&two.address);
    let receiver =
        two.command("python3").args(["-c", RECEIVE_UNTIL_THE_END, &two.address]).stdout(Stdio::piped()).spawn();
    let receiver = receiver.expect("python3 starts");
    wait_for("the receiver", || two.run("ss", &["-uln"]).contains(&format!("{}:9 ", two.address)));
    let pid = first.pid().to_string();
    let signal = |name: &str| one.run("kill", &[name, &pid]);
    signal("-STOP");
    one.run("python3", &["-c", SEND_A_STREAM_AND_LONE_ONES, &two.address, &buffers.to_string()]);
    signal("-CONT");
    let said = String::from_utf8(receiver.wait_with_output().expect("it ends").stdout).expect("text");
    let (before, count) = said.trim().split_once(' ').expect("two numbers");
    let [before, count] = [before, count].map(|number| number.parse::<u32>().expect("a number"));
    (before, count, first.counter("/drops/backlog_full"), first.counter("/drops/waited_too_long"))
}

#[test]
fn a_lone_packet_does_not_wait_behind_the_stream_of_others() {
    let (before, count, shed, late) = a_stream_and_lone_packets(30);
    // A slow machine, or a busy one, takes long for so much.
    assert_eq!((u64::from(count) + late, shed), (30 * 40 + 4, 0), "none is lost but of those that waited");
    assert!(late < 30, "{late} of {count} waited too long");
    assert!(before < count / 4, "{before} of {count} came before it");
}

#[test]
fn what_is_too_much_is_taken_from_the_stream_and_counted() {
    // More than 4 MiB.
    let (before, count, shed, late) = a_stream_and_lone_packets(90);
    assert!(shed > 0 && shed % 40 == 0, "{shed} were too much");
    assert_eq!(u64::from(count) + shed + late, 90 * 40 + 4);
    assert!(before < count / 4, "{before} of {count} came before it");
}

/// Sends buffers that the kernel is to cut as fast as they go, with a type of service that says whether it heeds marks of
/// congestion, until its input ends: `ADDRESS SERVICE`.
const SEND_TOO_MUCH: &str = "
import select, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_IP, socket.IP_TOS, int(sys.argv[2]))
s.setsockopt(socket.SOL_UDP, 103, 1392)
s.connect((sys.argv[1], 9))
buffer = bytes(40 * 1392)
while not select.select([sys.stdin], [], [], 0)[0]:
    s.send(buffer)
s.send(b'end')
";

/// Says how many datagrams were marked, until one is `end`: `ADDRESS`.
const RECEIVE_MARKS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_IP, socket.IP_RECVTOS, 1)
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
s.bind((sys.argv[1], 9))
s.settimeout(60)
marked = 0
while True:
    d, (control, *_), *_ = s.recvmsg(65536, 64)
    marked += control[2][0] & 3 == 3
    if d == b'end':
        break
print(marked)
";

/// A stream of more than can be sealed: how many of its datagrams arrived with a mark, how many packets were marked, and how
/// many were lost, because of how long they waited.
fn a_stream_of_too_much(service: &str) -> (u64, u64, u64) {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [mut first, _second] = lab.start_both();
    one.ping(&two.address);
    let receiver = two.command("python3").args(["-c", RECEIVE_MARKS, &two.address]).stdout(Stdio::piped()).spawn();
    let receiver = receiver.expect("python3 starts");
    wait_for("the receiver", || two.run("ss", &["-uln"]).contains(&format!("{}:9 ", two.address)));
    let mut sender = one.command("python3");
    let sender = sender.args(["-c", SEND_TOO_MUCH, &two.address, service]).stdin(Stdio::piped()).spawn();
    let mut sender = sender.expect("python3 starts");
    wait_for("its queue to stand", || {
        first.counter("/drops/waited_too_long") + first.counter("/congestion_marked") >= 3
    });
    drop(sender.stdin.take());
    assert!(sender.wait().expect("it ends").success());
    // The end may be lost, as all of it.
    let end = ["-c", "import socket,sys;socket.socket(2,2).sendto(b'end',(sys.argv[1],9))", &two.address];
    let mut receiver = receiver;
    wait_for("the end", || {
        one.run("python3", &end);
        receiver.try_wait().expect("it can be asked").is_some()
    });
    let said = String::from_utf8(receiver.wait_with_output().expect("it ends").stdout).expect("text");
    let marked = said.trim().parse().expect("a number");
    (marked, first.counter("/congestion_marked"), first.counter("/drops/waited_too_long"))
}

#[test]
fn a_queue_that_stands_is_told_to_its_sender_by_a_loss() {
    let (arrived, marked, lost) = a_stream_of_too_much("0");
    assert_eq!((arrived, marked), (0, 0));
    assert!(lost >= 3);
}

#[test]
fn a_sender_that_heeds_marks_loses_nothing_by_it() {
    let (arrived, marked, lost) = a_stream_of_too_much("2");
    assert_eq!(lost, 0);
    assert!(marked >= 3);
    // Some may be lost behind the tunnel, and one that is marked whole is 40 segments.
    assert!((1..=marked * 40).contains(&arrived), "{arrived} arrived, of {marked} that were marked");
}

#[test]
fn what_a_downed_interface_does_not_take_is_counted_and_what_comes_later_is_taken() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [_first, mut second] = lab.start_both();
    one.ping(&two.address);
    two.run("ip", &["link", "set", &two.interface, "down"]);
    let before = second.counter("/drops/tun_write_failed");
    assert!(one.fails("ping", &["-c", "2", "-i", "0.2", "-W", "1", &two.address]));
    assert_eq!(second.counter("/drops/tun_write_failed"), before + 2);
    assert_eq!(second.counter("/drops/tun_read_failed"), 0);
    two.run("ip", &["link", "set", &two.interface, "up"]);
    wait_for("the tunnel", || !one.fails("ping", &["-c", "1", "-W", "1", &two.address]));
    assert_eq!(second.counter("/drops/tun_write_failed"), before + 2);
}
