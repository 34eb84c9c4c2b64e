//! `servos-agent tunnel` where networks are not plain: moved to another namespace, behind NAT, with jumbo packets, with
//! descriptors that somebody else opened, with a hundred thousand prefixes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use servos_lab::{Daemon, Lab, Machine, Programs, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

/// A machine with an interface `wg1` and a key.
struct End {
    machine: Machine,
    _tunnel: Daemon,
    key: String,
    number: u8,
    /// Where the interface is: empty, or `-n NAMESPACE`.
    inside: &'static str,
}

impl End {
    fn new(lab: &Lab, number: u8) -> Result<Self> {
        let machine = lab.machine(&format!("m{number}"))?;
        let tunnel = machine.spawn("tunnel", Programs::find()?.agent, &["tunnel", "-f", "wg1"], "")?;
        Self::with(machine, tunnel, number)
    }

    fn with(machine: Machine, tunnel: Daemon, number: u8) -> Result<Self> {
        let mut end = Self { machine, _tunnel: tunnel, key: String::new(), number, inside: "" };
        wait_for("wg1", PATIENCE, || end.sh("wg show wg1").map(drop))?;
        end.key = end.sh("umask 77; wg genkey > /run/key; wg pubkey < /run/key")?.trim().to_owned();
        end.sh("wg set wg1 private-key /run/key listen-port 10000")?;
        Ok(end)
    }

    fn up(&self) -> Result<()> {
        let (inside, number) = (self.inside, self.number);
        self.sh(&format!(
            "ip {inside} addr add 192.168.241.{number}/24 dev wg1 && ip {inside} addr add fd00::{number}/64 dev wg1 nodad \
             && ip {inside} link set wg1 up"
        ))
        .map(drop)
    }

    fn sh(&self, line: &str) -> Result<String> {
        self.machine.sh(line)?.success(line)
    }

    /// Runs a line where the interface is.
    fn inside(&self, line: &str) -> Result<String> {
        match self.inside.strip_prefix("-n ") {
            Some(namespace) => self.sh(&format!("ip netns exec {namespace} {line}")),
            None => self.sh(line),
        }
    }

    /// Makes another end a peer, with what else `wg set … peer` may say.
    fn peer(&self, other: &Self, more: &str) -> Result<()> {
        let (key, number) = (&other.key, other.number);
        let line = format!("wg set wg1 peer {key} allowed-ips 192.168.241.{number}/32,fd00::{number}/128 {more}");
        self.sh(&line).map(drop)
    }

    fn at(&self) -> String {
        format!("endpoint {}:10000", self.machine.address())
    }

    fn ping(&self, to: &str) -> Result<()> {
        self.inside(&format!("ping -c 1 -W 2 {to}")).map(drop)
    }

    fn reaches(&self, other: &Self) -> Result<()> {
        for to in [format!("192.168.241.{}", other.number), format!("fd00::{}", other.number)] {
            wait_for(&format!("an answer of {to}"), PATIENCE, || self.ping(&to))?;
        }
        Ok(())
    }

    /// A TCP stream to `to`, and a UDP stream behind it.
    fn streams(&self, other: &Self, to: &str) -> Result<()> {
        for more in ["-n 40M -C cubic", "-u -b 200M -n 20M"] {
            let log = format!("iperf3-{}", self.number);
            let _server = other.machine.spawn(&log, "iperf3", &["-s", "-1", "-B", to], "")?;
            wait_for("iperf3", PATIENCE, || other.sh("ss -tln | grep -q :5201").map(drop))?;
            let report: Value = serde_json::from_str(&self.inside(&format!("iperf3 {more} -c {to} --json"))?)?;
            let received = &report["end"]["sum_received"];
            ensure!(received["bytes"].as_u64() > Some(0), "{more} to {to}: {received}");
            // Only UDP's report tells how much was lost.
            ensure!(received["lost_percent"].as_f64().is_none_or(|lost| lost < 50.0), "{more} to {to}: {received}");
        }
        Ok(())
    }

    /// Bytes that came from its one peer.
    fn received(&self) -> Result<u64> {
        let text = self.sh("wg show wg1 transfer")?;
        text.split_whitespace().nth(1).and_then(|bytes| bytes.parse().ok()).with_context(|| text.clone())
    }

    fn endpoint_of(&self, other: &Self) -> Result<String> {
        let text = self.sh("wg show wg1 endpoints")?;
        let line = text.lines().find(|line| line.starts_with(&other.key)).with_context(|| text.clone())?;
        Ok(line.split_whitespace().nth(1).unwrap_or_default().to_owned())
    }
}

#[test]
fn an_interface_in_another_namespace_than_its_sockets() -> Result<()> {
    let lab = Lab::new()?;
    let (mut one, two) = (End::new(&lab, 1)?, End::new(&lab, 2)?);
    one.inside = "-n apart";
    one.sh("ip netns add apart && ip link set wg1 netns apart && ip -n apart link set lo up")?;
    one.up()?;
    two.up()?;
    one.peer(&two, &two.at())?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    two.reaches(&one)?;
    // What is configured there counts: the MTU, and that it is deleted.
    for end in [&one, &two] {
        end.sh(&format!("ip {} link set wg1 mtu 9000", end.inside))?;
    }
    one.inside("ping -c 1 -W 5 -M do -s 8900 192.168.241.2")?;
    one.streams(&two, "192.168.241.2")?;
    one.sh("ip -n apart link del wg1")?;
    wait_for("the socket to go", PATIENCE, || {
        ensure!(one.sh("wg show wg1").is_err(), "wg1 is still served");
        Ok(())
    })
}

#[test]
fn behind_nat_keepalives_hold_the_way_back_open() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (End::new(&lab, 1)?, End::new(&lab, 2)?);
    let router = lab.machine("nat")?;
    let outside = router.address();
    let sh = |line: &str| router.sh(line)?.success(line);
    sh("ip addr add 192.168.1.1/24 dev eth0 && echo 1 > /proc/sys/net/ipv4/ip_forward")?;
    sh(&format!("iptables -t nat -A POSTROUTING -s 192.168.1.0/24 -j SNAT --to {outside}"))?;
    sh(
        "for f in nf_conntrack_udp_timeout nf_conntrack_udp_timeout_stream; do echo 2 > /proc/sys/net/netfilter/$f; done",
    )?;
    client.sh(
        "ip addr flush dev eth0 && ip addr add 192.168.1.100/24 dev eth0 && ip route add default via 192.168.1.1",
    )?;
    client.up()?;
    server.up()?;
    server.peer(&client, "")?;
    client.peer(&server, &format!("{} persistent-keepalive 1", server.at()))?;
    client.reaches(&server)?;
    server.reaches(&client)?;
    let seen = server.endpoint_of(&client)?;
    ensure!(seen.starts_with(&format!("{outside}:")), "the server sees {seen}");
    let before = server.received()?;
    wait_for("keepalives", PATIENCE, || {
        let received = server.received()?;
        ensure!(received >= before + 5 * 32, "{received} bytes after {before}");
        Ok(())
    })?;
    server.ping("192.168.241.1")?;
    // And without them it closes.
    client.peer(&server, "persistent-keepalive 0")?;
    wait_for("the router to forget", Duration::from_secs(120), || {
        // Whoever reads the table drops what is out of date in it; by itself the kernel does so once a minute.
        let count = sh("cat /proc/net/nf_conntrack > /dev/null; cat /proc/sys/net/netfilter/nf_conntrack_count")?;
        ensure!(count.trim() == "0", "it knows {count}");
        Ok(())
    })?;
    ensure!(server.ping("192.168.241.1").is_err(), "the way back was open by itself");
    client.reaches(&server)
}

#[test]
fn streams_with_jumbo_packets_over_both_families() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::new(&lab, 1)?, End::new(&lab, 2)?);
    for end in [&one, &two] {
        end.sh(&format!("ip addr add fd77::{}/64 dev eth0 nodad", end.number))?;
        end.up()?;
    }
    two.peer(&one, "")?;
    for (endpoint, mtu) in [(two.at(), 1_420), ("endpoint [fd77::2]:10000".to_owned(), 34_736)] {
        one.peer(&two, &endpoint)?;
        for end in [&one, &two] {
            end.sh(&format!("ip link set wg1 mtu {mtu}"))?;
        }
        one.reaches(&two)?;
        one.streams(&two, "192.168.241.2")?;
        one.streams(&two, "fd00::2")?;
    }
    Ok(())
}

/// Opens an interface and a listening socket, and becomes the program that is given both.
const OPEN_BOTH: &str = "
import fcntl, os, socket, struct, sys
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'wg1', 0x1001))
os.makedirs('/var/run/wireguard', exist_ok=True)
uapi = socket.socket(socket.AF_UNIX)
uapi.bind('/var/run/wireguard/wg1.sock')
uapi.listen()
for fd in (tun, uapi.fileno()):
    os.set_inheritable(fd, True)
names = dict(os.environ, WG_TUN_FD=str(tun), WG_UAPI_FD=str(uapi.fileno()))
os.execve(sys.argv[1], [sys.argv[1], 'tunnel', '-f', 'wg1'], names)
";

#[test]
fn with_an_interface_and_a_socket_that_somebody_else_opened() -> Result<()> {
    let lab = Lab::new()?;
    let machine = lab.machine("m1")?;
    let agent = Programs::find()?.agent;
    let tunnel =
        machine.spawn("tunnel", "python3", &["-c", OPEN_BOTH, agent.to_str().context("a path of text")?], "")?;
    let (given, other) = (End::with(machine, tunnel, 1)?, End::new(&lab, 2)?);
    given.up()?;
    other.up()?;
    given.peer(&other, &other.at())?;
    other.peer(&given, "")?;
    given.reaches(&other)?;
    other.reaches(&given)?;
    given.streams(&other, "192.168.241.2")?;
    other.streams(&given, "fd00::1")
}

#[test]
fn a_hundred_thousand_prefixes_and_peers_by_the_thousand() -> Result<()> {
    let lab = Lab::new()?;
    let one = End::new(&lab, 1)?;
    let make = "{ echo '[Peer]'; echo PublicKey=$(wg genkey | wg pubkey); \
                for a in $(seq 255); do for b in $(seq 0 255); do echo AllowedIPs=$a.$b.0.0/16,$a::$b/128; done; done; } > /run/one";
    one.sh(make)?;
    one.sh("wg setconf wg1 /run/one")?;
    ensure!(one.sh("wg show wg1 allowed-ips")?.split_whitespace().count() == 255 * 256 * 2 + 1, "some are missing");

    let make = "for p in $(seq 1000); do echo '[Peer]'; echo PublicKey=$(head -c 32 /dev/urandom | base64); \
                echo AllowedIPs=10.$((p / 250)).$((p % 250)).0/24; done > /run/many";
    one.sh(make)?;
    one.sh("wg syncconf wg1 /run/many")?;
    let shown = one.sh("wg show wg1 allowed-ips")?;
    ensure!(shown.lines().count() == 1_000, "{} peers", shown.lines().count());
    ensure!(shown.lines().all(|line| line.split_whitespace().count() == 2), "prefixes of others");
    // What `wg` shows is what it takes: who was removed comes back.
    one.sh("wg showconf wg1 > /run/shown && wg set wg1 peer $(wg show wg1 peers | head -n 1) remove")?;
    ensure!(one.sh("wg show wg1 peers")?.lines().count() == 999, "nobody was removed");
    one.sh("wg setconf wg1 /run/shown")?;
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    ensure!(sorted(&one.sh("wg show wg1 allowed-ips")?) == sorted(&shown), "another configuration");
    ensure!(one.sh("wg show doesnotexist").is_err(), "an interface that nobody has");
    Ok(())
}
