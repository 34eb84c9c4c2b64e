//! What the kernel refuses on other machines and not here, by injection: `strace` has the real call of a running tunnel fail.
//! A socket refuses segmentation with EIO where IPsec covers the way, and before Linux 6.11 where the card computes no
//! checksums; a TUN device refuses a packet with EAGAIN where its owner made its buffer small.

#[path = "support/namespaces.rs"]
mod namespaces;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use namespaces::{Daemon, Lab, wait_for};

/// `strace` on one thread of a tunnel.
struct Trace {
    child: Child,
    log: PathBuf,
}

impl Trace {
    /// Has the first `count` calls of the thread of that name fail with `error`, and notes all of them.
    fn inject(lab: &Lab, tunnel: &Daemon, thread: &str, call: &str, error: &str, count: u32) -> Self {
        let thread = thread_of(tunnel.pid(), thread);
        let log = lab.folder.path().join(format!("trace-{thread}"));
        let mut strace = Command::new("strace");
        strace.args(["-v", "-p", &thread.to_string(), "-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:error={error}:when=1..{count}"), "-o"]).arg(&log);
        let child = strace.stderr(Stdio::null()).spawn().expect("strace starts");
        let status = format!("/proc/{}/task/{thread}/status", tunnel.pid());
        wait_for("strace to attach", || {
            let status = fs::read_to_string(&status).expect("a thread");
            !status.lines().any(|line| line.split_whitespace().eq(["TracerPid:", "0"]))
        });
        Self { child, log }
    }

    /// The calls so far, a line each.
    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains(" = ")).map(str::to_owned).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // The tunnel goes on without it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn thread_of(pid: u32, name: &str) -> u32 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a running tunnel");
    let threads = threads.map(|thread| thread.expect("a thread").path());
    let has_name = |thread: &PathBuf| fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let thread = threads.into_iter().find(has_name).unwrap_or_else(|| panic!("no thread {name}"));
    thread.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("a number")
}

/// Sends one buffer that the kernel is to cut, 1,392 bytes each: `ADDRESS BYTES`.
const SEND_SEGMENTS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_UDP, 103, 1392)
s.sendto(bytes(int(sys.argv[2])), (sys.argv[1], 9))
";

/// Says the lengths of so many datagrams: `ADDRESS COUNT`.
const RECEIVE_LENGTHS: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9))
s.settimeout(60)
print(*(len(s.recv(65536)) for _ in range(int(sys.argv[2]))))
";

#[test]
fn where_segmentation_is_refused_all_pieces_arrive_and_it_is_left_for_a_while() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [mut first, _second] = lab.start_both();
    one.ping(&two.address);
    let receive = ["-c", RECEIVE_LENGTHS, &two.address, "8"];
    let receiver = two.command("python3").args(receive).stdout(Stdio::piped()).spawn().expect("python3 starts");
    wait_for("the receiver", || two.run("ss", &["-uln"]).contains(&format!("{}:9 ", two.address)));

    let trace = Trace::inject(&lab, &first, "wg-tun-0", "sendmsg", "EIO", 2);
    for _ in 0..2 {
        one.run("python3", &["-c", SEND_SEGMENTS, &two.address, "4276"]);
    }
    let said = String::from_utf8(receiver.wait_with_output().expect("it ends").stdout).expect("text");
    assert_eq!(said.trim(), "1392 1392 1392 100 1392 1392 1392 100");
    for reason in ["send_failed", "too_long_for_way"] {
        assert_eq!(first.counter(&format!("/drops/{reason}")), 0, "{reason}");
    }
    let calls = trace.calls();
    // The library tries once more, without a type of service.
    let [refused, again, pieces @ ..] = &calls[..] else { panic!("nothing was sent") };
    // UDP_SEGMENT of `linux/udp.h`, which strace names or not.
    let is_segmented = |call: &String| call.contains("cmsg_type=0x67") || call.contains("UDP_SEGMENT");
    for call in [refused, again] {
        assert!(call.contains("(INJECTED)") && is_segmented(call), "{call}");
    }
    assert_eq!(pieces.len(), 8, "{calls:#?}");
    assert!(!pieces.iter().any(|call| is_segmented(call) || call.contains("-1 E")), "{calls:#?}");
}

#[test]
fn a_packet_that_the_interface_has_no_room_for_is_counted_and_the_next_one_taken() {
    let lab = Lab::new();
    let [one, two] = &lab.machines;
    let [_first, mut second] = lab.start_both();
    one.ping(&two.address);
    assert_eq!(second.counter("/drops/tun_write_failed"), 0);
    let trace = Trace::inject(&lab, &second, "wg-udp-0", "writev", "EAGAIN", 1);
    assert!(one.fails("ping", &["-c", "1", "-W", "1", &two.address]), "it was lost");
    one.ping(&two.address);
    let calls = trace.calls();
    assert!(calls[0].contains("EAGAIN") && calls[0].contains("(INJECTED)"), "{calls:#?}");
    assert_eq!(second.counter("/drops/tun_write_failed"), 1);
}
