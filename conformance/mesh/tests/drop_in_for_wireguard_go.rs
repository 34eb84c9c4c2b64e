//! `servos-agent tunnel` is configured and behaves like `wireguard-go`: with `wg` and `ip`, and against the real one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_lab::{Daemon, Lab, Machine, Programs, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// A machine with an interface `wg1`, a key, and addresses inside and outside.
struct End {
    machine: Machine,
    tunnel: Option<Daemon>,
    public_key: String,
    number: u8,
}

impl End {
    /// Ours, or Debian's `wireguard-go`.
    fn new(lab: &Lab, number: u8, ours: bool) -> Result<Self> {
        let machine = lab.machine(&format!("m{number}"))?;
        machine.sh(&format!("ip addr add fd77::{number}/64 dev eth0 nodad"))?.success("ip")?;
        let mut end = Self { machine, tunnel: None, public_key: String::new(), number };
        end.start(ours)?;
        let make = "umask 77; wg genkey > /run/key; wg pubkey < /run/key";
        end.public_key = end.machine.sh(make)?.success("wg genkey")?.trim().to_owned();
        end.wg("set wg1 private-key /run/key listen-port 10000")?;
        end.up()?;
        Ok(end)
    }

    fn start(&mut self, ours: bool) -> Result<()> {
        let program = if ours { Programs::find()?.agent } else { "wireguard-go".into() };
        let arguments: &[&str] = if ours { &["tunnel", "-f", "wg1"] } else { &["-f", "wg1"] };
        self.tunnel = Some(self.machine.spawn("tunnel", program, arguments, "")?);
        wait_for("wg1", PATIENCE, || self.wg("show wg1").map(drop))
    }

    fn up(&self) -> Result<()> {
        let number = self.number;
        let line = format!(
            "ip addr add 192.168.241.{number}/24 dev wg1 && ip addr add fd00::{number}/64 dev wg1 nodad && ip link set wg1 up"
        );
        self.machine.sh(&line)?.success("ip").map(drop)
    }

    fn wg(&self, arguments: &str) -> Result<String> {
        self.machine.sh(&format!("wg {arguments}"))?.success(&format!("wg {arguments}"))
    }

    /// Makes another end a peer, with what else `wg set … peer` may say.
    fn peer(&self, other: &Self, more: &str) -> Result<()> {
        let (key, number) = (&other.public_key, other.number);
        let ips = format!("192.168.241.{number}/32,fd00::{number}/128");
        self.wg(&format!("set wg1 peer {key} allowed-ips {ips} {more}")).map(drop)
    }

    fn v4(&self) -> String {
        self.machine.address().to_string()
    }

    fn v6(&self) -> String {
        format!("[fd77::{}]", self.number)
    }

    /// One echo, of so many bytes.
    fn ping(&self, to: &str, bytes: u32) -> Result<()> {
        let arguments = ["-c", "1", "-W", "2", "-s", &bytes.to_string(), to];
        self.machine.run("ping", &arguments)?.success(&format!("ping {to}")).map(drop)
    }

    fn reaches(&self, other: &Self) -> Result<()> {
        let number = other.number;
        wait_for("IPv4 through the tunnel", PATIENCE, || self.ping(&format!("192.168.241.{number}"), 56))?;
        wait_for("IPv6 through the tunnel", PATIENCE, || self.ping(&format!("fd00::{number}"), 56))
    }

    fn endpoint_of(&self, other: &Self) -> Result<String> {
        let text = self.wg("show wg1 endpoints")?;
        let line = text.lines().find(|line| line.starts_with(&other.public_key)).with_context(|| text.clone())?;
        Ok(line.split_whitespace().nth(1).unwrap_or_default().to_owned())
    }
}

#[test]
fn both_families_inside_and_outside_with_a_pre_shared_key_and_roaming() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::new(&lab, 1, true)?, End::new(&lab, 2, true)?);
    let psk = one.machine.sh("umask 77; wg genpsk | tee /run/psk")?.success("wg genpsk")?;
    two.machine.write("/run/psk", &psk)?;
    one.peer(&two, &format!("preshared-key /run/psk endpoint {}:10000", two.v4()))?;
    two.peer(&one, "preshared-key /run/psk")?;
    one.reaches(&two)?;
    two.reaches(&one)?;
    ensure!(one.wg("show wg1 preshared-keys")?.contains(psk.trim()), "the pre-shared key is not shown");

    one.wg(&format!("set wg1 peer {} endpoint {}:10000", two.public_key, two.v6()))?;
    one.reaches(&two)?;
    ensure!(two.endpoint_of(&one)? == format!("{}:10000", one.v6()), "{}", two.endpoint_of(&one)?);

    // Another port, and the other end follows.
    one.wg("set wg1 listen-port 10001")?;
    one.reaches(&two)?;
    ensure!(two.endpoint_of(&one)? == format!("{}:10001", one.v6()), "{}", two.endpoint_of(&one)?);
    two.reaches(&one)?;

    // A port that is taken: what was there stays.
    let _taken = one.machine.spawn("taken", "python3", &["-c", TAKE_PORT], "")?;
    wait_for("the port to be taken", PATIENCE, || one.machine.sh("ss -uln | grep -q :10002")?.success("ss").map(drop))?;
    ensure!(one.wg("set wg1 listen-port 10002").is_err(), "two on one port");
    ensure!(one.wg("show wg1 listen-port")?.trim() == "10001", "the port was given up");
    one.reaches(&two)?;

    // Neither the same private key nor another pre-shared key disturbs what was agreed: no handshake comes of them.
    one.machine.sh("umask 77; wg genpsk > /run/other")?.success("wg genpsk")?;
    one.wg(&format!("set wg1 peer {} preshared-key /run/other", two.public_key))?;
    one.wg("set wg1 private-key /run/key")?;
    one.ping("192.168.241.2", 56)?;

    // In a handshake a wrong key locks out, the right one lets in again.
    one.wg(&format!("set wg1 peer {} remove", two.public_key))?;
    one.peer(&two, &format!("preshared-key /run/other endpoint {}:10000", two.v4()))?;
    ensure!(one.ping("192.168.241.2", 56).is_err(), "another pre-shared key works");
    one.wg(&format!("set wg1 peer {} preshared-key /run/psk", two.public_key))?;
    one.reaches(&two)
}

const TAKE_PORT: &str =
    "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('0.0.0.0',10002))\ntime.sleep(600)";

#[test]
fn who_may_send_from_where_moves_with_the_allowed_ips() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::new(&lab, 1, true)?, End::new(&lab, 2, true)?);
    one.peer(&two, &format!("endpoint {}:10000", two.v4()))?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    // A prefix that is longer, and another's: what two sends is not taken for that peer's.
    let stranger = one.machine.sh("wg genkey | wg pubkey")?.success("wg")?;
    let stranger = stranger.trim();
    one.wg(&format!("set wg1 peer {stranger} allowed-ips 192.168.241.2/32"))?;
    ensure!(two.ping("192.168.241.1", 56).is_err(), "it spoke for an address that is another's");
    two.ping("fd00::1", 56)?;
    one.wg(&format!("set wg1 peer {stranger} remove"))?;
    ensure!(two.ping("192.168.241.1", 56).is_err(), "the prefix came back by itself");
    one.peer(&two, "")?;
    two.reaches(&one)
}

#[test]
fn kept_alive_without_a_packet_and_with_a_new_key() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::new(&lab, 1, true)?, End::new(&lab, 2, true)?);
    two.peer(&one, "")?;
    one.peer(&two, &format!("endpoint {}:10000 persistent-keepalive 1", two.v4()))?;
    wait_for("a handshake that nobody asked for", PATIENCE, || {
        ensure!(!two.wg("show wg1 latest-handshakes")?.trim().ends_with("\t0"), "none yet");
        Ok(())
    })?;
    let heard = || -> Result<u64> {
        let text = two.wg("show wg1 transfer")?;
        text.split_whitespace().nth(1).and_then(|bytes| bytes.parse().ok()).with_context(|| text.clone())
    };
    let before = heard()?;
    wait_for("keepalives", PATIENCE, || {
        ensure!(heard()? >= before + 3 * 32, "{} bytes after {before}", heard()?);
        Ok(())
    })?;

    let key = one.machine.sh("umask 77; wg genkey > /run/new; wg pubkey < /run/new")?.success("wg genkey")?;
    one.wg("set wg1 private-key /run/new")?;
    ensure!(two.ping("192.168.241.1", 56).is_err(), "the key before still works");
    two.wg(&format!("set wg1 peer {} remove", one.public_key))?;
    let renewed = End { public_key: key.trim().to_owned(), ..one };
    two.peer(&renewed, "")?;
    renewed.reaches(&two)
}

#[test]
fn large_packets_and_large_configurations() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::new(&lab, 1, true)?, End::new(&lab, 2, true)?);
    one.peer(&two, &format!("endpoint {}:10000", two.v4()))?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    for end in [&one, &two] {
        end.machine.sh("ip link set wg1 mtu 34816")?.success("ip")?;
    }
    one.ping("192.168.241.2", 34_000)?;
    two.ping("fd00::1", 34_000)?;

    let make = "{ echo '[Interface]'; echo PrivateKey=$(cat /run/key); \
                for p in 1 2 3; do echo '[Peer]'; echo PublicKey=$(wg genkey | wg pubkey); \
                for a in $(seq 0 200); do for b in $(seq 0 50); do echo AllowedIPs=1$p.$a.$b.0/24,fd0$p:$a:$b::/64; done; done; \
                done; } > /run/large.conf";
    one.machine.sh(make)?.success("making a large configuration")?;
    one.wg("setconf wg1 /run/large.conf")?;
    let shown = one.wg("show wg1 allowed-ips")?;
    ensure!(shown.lines().count() == 3, "{} peers", shown.lines().count());
    let prefixes = shown.split_whitespace().count() - 3;
    ensure!(prefixes == 3 * 201 * 51 * 2, "{prefixes} prefixes");
    Ok(())
}

#[test]
fn answers_leave_from_the_address_that_was_asked_and_not_from_one_that_is_gone() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::new(&lab, 1, true)?, End::new(&lab, 2, true)?);
    one.machine.sh("ip addr add 10.77.9.1/16 dev eth0 && ip addr add fd77::91/64 dev eth0 nodad")?.success("ip")?;
    one.peer(&two, "")?;
    for asked in ["10.77.9.1:10000", "[fd77::91]:10000"] {
        two.peer(&one, &format!("endpoint {asked}"))?;
        two.reaches(&one)?;
        ensure!(two.endpoint_of(&one)? == asked, "asked {asked}, answered from {}", two.endpoint_of(&one)?);
    }
    one.machine.sh("ip addr del fd77::91/64 dev eth0")?.success("ip")?;
    one.reaches(&two)?;
    ensure!(two.endpoint_of(&one)? == format!("{}:10000", one.v6()), "{}", two.endpoint_of(&one)?);
    Ok(())
}

#[test]
fn with_the_real_wireguard_go_across_restarts_of_either_side() -> Result<()> {
    let lab = Lab::new()?;
    let (mut ours, mut theirs) = (End::new(&lab, 1, true)?, End::new(&lab, 2, false)?);
    let meet = |ours: &End, theirs: &End| -> Result<()> {
        ours.peer(theirs, &format!("endpoint {}:10000", theirs.v4()))?;
        theirs.peer(ours, &format!("endpoint {}:10000", ours.v4()))
    };
    meet(&ours, &theirs)?;
    ours.reaches(&theirs)?;
    theirs.reaches(&ours)?;
    for restart_ours in [true, false] {
        let end = if restart_ours { &mut ours } else { &mut theirs };
        end.tunnel.take().context("it runs")?.kill()?;
        wait_for("the interface to go", PATIENCE, || {
            ensure!(!end.machine.sh("ip link show wg1")?.status.success(), "wg1 is still there");
            Ok(())
        })?;
        end.start(restart_ours)?;
        end.wg("set wg1 private-key /run/key listen-port 10000")?;
        end.up()?;
        meet(&ours, &theirs)?;
        // Whoever was restarted first: it has nothing, the other has keys of before.
        ours.reaches(&theirs)?;
        theirs.reaches(&ours)?;
    }
    Ok(())
}

#[test]
fn in_the_background_and_gone_with_its_interface() -> Result<()> {
    let lab = Lab::new()?;
    let machine = lab.machine("m1")?;
    let agent = Programs::find()?.agent;
    machine.run(&agent, &["tunnel", "wg7"])?.success("servos-agent tunnel")?;
    machine.run("wg", &["set", "wg7", "listen-port", "4000", "fwmark", "0x51"])?.success("wg set")?;
    let shown = machine.run("wg", &["show", "wg7"])?.success("wg show")?;
    ensure!(shown.contains("listening port: 4000") && shown.contains("fwmark: 0x51"), "{shown}");
    let again = machine.run(&agent, &["tunnel", "wg7"])?;
    ensure!(again.status.code() == Some(1) && again.stderr.contains("interface wg7 exists already"), "{}", again.all());
    let wrong = machine.run(&agent, &["tunnel", "no/name"])?;
    ensure!(wrong.status.code() == Some(1) && wrong.stderr.contains("no name for an interface"), "{}", wrong.all());
    machine.run("ip", &["link", "del", "wg7"])?.success("ip link del")?;
    wait_for("the socket to go", PATIENCE, || {
        ensure!(!machine.sh("ls /var/run/wireguard/wg7.sock")?.status.success(), "the socket is still there");
        Ok(())
    })
}
