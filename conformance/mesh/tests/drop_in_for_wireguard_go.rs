//! `servos-agent tunnel` is configured and behaves like `wireguard-go`: with `wg` and `ip`, and against the real one.

mod common;

use anyhow::{Context, Result, ensure};
use common::{End, PATIENCE};
use serde_json::Value;
use servos_lab::{Lab, Programs, wait_for};

#[test]
fn both_families_inside_and_outside_with_a_pre_shared_key_and_roaming() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    let psk = one.machine.sh("umask 77; wg genpsk | tee /run/psk")?.success("wg genpsk")?;
    two.machine.write("/run/psk", &psk)?;
    one.peer(&two, &format!("preshared-key /run/psk {}", two.at()))?;
    two.peer(&one, "preshared-key /run/psk")?;
    one.reaches(&two)?;
    two.reaches(&one)?;
    ensure!(one.wg("show wg1 preshared-keys")?.contains(psk.trim()), "the pre-shared key is not shown");

    one.wg(&format!("set wg1 peer {} endpoint {}:10000", two.key, two.v6()))?;
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
    one.wg(&format!("set wg1 peer {} preshared-key /run/other", two.key))?;
    one.wg("set wg1 private-key /run/key")?;
    one.ping("192.168.241.2")?;

    // In a handshake a wrong key locks out, the right one lets in again.
    one.wg(&format!("set wg1 peer {} remove", two.key))?;
    one.peer(&two, &format!("preshared-key /run/other {}", two.at()))?;
    ensure!(one.ping("192.168.241.2").is_err(), "another pre-shared key works");
    one.wg(&format!("set wg1 peer {} preshared-key /run/psk", two.key))?;
    one.reaches(&two)
}

const TAKE_PORT: &str =
    "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('0.0.0.0',10002))\ntime.sleep(600)";

#[test]
fn another_port_for_which_too_little_is_left_leaves_what_was_there() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    one.peer(&two, &two.at())?;
    two.peer(&one, &one.at())?;
    one.reaches(&two)?;
    let pid = one.tunnel.as_ref().context("it runs")?.pid();
    let open = one.machine.sh(&format!("ls /proc/{pid}/fd | sort -n | tail -1"))?.success("ls")?;
    let open: u32 = open.trim().parse()?;
    // One more for the client, one for each socket, and so on: at one of them it ends.
    for more in 1..6 {
        one.machine.sh(&format!("prlimit --pid {pid} --nofile={}:4096", open + 1 + more))?.success("prlimit")?;
        if one.wg(&format!("set wg1 listen-port 1010{more}")).is_ok() {
            break;
        }
        ensure!(more < 5, "it never has enough");
        two.reaches(&one)?;
    }
    one.reaches(&two)?;
    two.reaches(&one)
}

#[test]
fn who_may_send_from_where_moves_with_the_allowed_ips() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    one.peer(&two, &two.at())?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    // A prefix that is longer, and another's: what two sends is not taken for that peer's.
    let stranger = one.machine.sh("wg genkey | wg pubkey")?.success("wg")?;
    let stranger = stranger.trim();
    one.wg(&format!("set wg1 peer {stranger} allowed-ips 192.168.241.2/32"))?;
    ensure!(two.ping("192.168.241.1").is_err(), "it spoke for an address that is another's");
    two.ping("fd00::1")?;
    one.wg(&format!("set wg1 peer {stranger} remove"))?;
    ensure!(two.ping("192.168.241.1").is_err(), "the prefix came back by itself");
    one.peer(&two, "")?;
    two.reaches(&one)
}

#[test]
fn kept_alive_without_a_packet_and_with_a_new_key() -> Result<()> {
    let lab = Lab::new()?;
    let (mut one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    two.peer(&one, "")?;
    one.peer(&two, &format!("{} persistent-keepalive 1", two.at()))?;
    wait_for("a handshake that nobody asked for", PATIENCE, || {
        ensure!(!two.wg("show wg1 latest-handshakes")?.trim().ends_with("\t0"), "none yet");
        Ok(())
    })?;
    let before = two.received()?;
    wait_for("keepalives", PATIENCE, || {
        let received = two.received()?;
        ensure!(received >= before + 3 * 32, "{received} bytes after {before}");
        Ok(())
    })?;

    let key = one.machine.sh("umask 77; wg genkey > /run/new; wg pubkey < /run/new")?.success("wg genkey")?;
    one.wg("set wg1 private-key /run/new")?;
    ensure!(two.ping("192.168.241.1").is_err(), "the key before still works");
    two.wg(&format!("set wg1 peer {} remove", one.key))?;
    one.key = key.trim().to_owned();
    two.peer(&one, "")?;
    one.reaches(&two)
}

#[test]
fn large_packets_and_large_configurations() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    one.peer(&two, &two.at())?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    for end in [&one, &two] {
        end.machine.sh("ip link set wg1 mtu 34816")?.success("ip")?;
    }
    one.inside("ping -c 1 -W 2 -s 34000 192.168.241.2")?;
    two.inside("ping -c 1 -W 2 -s 34000 fd00::1")?;

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

/// As `wg-quick` does: `wg` first, then the MTU.
#[test]
fn padding_stays_within_an_mtu_that_is_set_afterwards_or_changed_among_packets() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    one.peer(&two, &two.at())?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    // Bytes that an echo takes on the way out, of a packet of `length`; a handshake or keepalive beside it is more.
    let sent = || -> Result<u32> {
        let text = one.wg("show wg1 transfer")?;
        text.split_whitespace().nth(2).and_then(|bytes| bytes.parse().ok()).with_context(|| text.clone())
    };
    let sealed = |length: u32| -> Result<()> {
        wait_for("an echo that is padded to the MTU alone", PATIENCE, || {
            let before = sent()?;
            one.inside(&format!("ping -c 1 -W 2 -s {} 192.168.241.2", length - 28))?;
            let took = sent()? - before;
            ensure!(took == length + 32, "{took} bytes for {length}");
            Ok(())
        })
    };
    one.machine.sh("ip link set wg1 down && ip link set wg1 mtu 1300 up")?.success("ip")?;
    sealed(1_300)?;
    one.machine.sh("ip link set wg1 mtu 1290")?.success("ip")?;
    sealed(1_290)
}

#[test]
fn answers_leave_from_the_address_that_was_asked_and_not_from_one_that_is_gone() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
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
    let (mut ours, mut theirs) = (End::ours(&lab, 1)?, End::theirs(&lab, 2)?);
    let meet = |ours: &End, theirs: &End| -> Result<()> {
        ours.peer(theirs, &theirs.at())?;
        theirs.peer(ours, &ours.at())
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
        end.start()?;
        meet(&ours, &theirs)?;
        // Whoever was restarted first: it has nothing, the other has keys of before.
        ours.reaches(&theirs)?;
        theirs.reaches(&ours)?;
    }
    Ok(())
}

/// An initiator renews its keypair after two minutes (`REKEY_AFTER_TIME`): so long a stream has to be.
#[test]
fn a_stream_loses_nothing_across_a_rekey_with_the_real_wireguard_go_whichever_renews() -> Result<()> {
    let stream = |ours_renews: bool| -> Result<()> {
        let lab = Lab::new()?;
        let (ours, theirs) = (End::ours(&lab, 1)?, End::theirs(&lab, 2)?);
        let (first, second) = if ours_renews { (&ours, &theirs) } else { (&theirs, &ours) };
        first.peer(second, &second.at())?;
        second.peer(first, "")?;
        first.reaches(second)?;
        let began = first.wg("show wg1 latest-handshakes")?;
        let to = if ours_renews { "192.168.241.2" } else { "192.168.241.1" };
        let _server = second.machine.spawn("iperf3", "iperf3", &["-s", "-1", "-B", to], "")?;
        wait_for("iperf3", PATIENCE, || second.sh("ss -tln | grep -q :5201").map(drop))?;
        let arguments = "-u -b 4M -l 1000 --bidir -t 126 --json --logfile /run/stream -c";
        let arguments: Vec<&str> = arguments.split(' ').chain([to]).collect();
        let _client = first.machine.spawn("stream", "iperf3", &arguments, "")?;
        let mut report = Value::Null;
        wait_for("the end of the stream", 6 * PATIENCE, || {
            report = serde_json::from_str(&first.sh("cat /run/stream")?)?;
            Ok(())
        })?;
        ensure!(first.wg("show wg1 latest-handshakes")? != began, "the keypair was not renewed");
        for way in ["sum_received", "sum_received_bidir_reverse"] {
            let received = &report["end"][way];
            ensure!(received["packets"].as_u64() > Some(50_000), "{way}: {received}");
            ensure!(received["lost_packets"] == 0, "ours renews: {ours_renews}, {way}: {received}");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let ours = scope.spawn(|| stream(true));
        stream(false)?;
        ours.join().expect("the other stream does not panic")
    })
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
    let listens = machine.sh("ss -Hxlp | grep wg7.sock")?.success("who listens at wg7.sock")?;
    let pid = listens.split("pid=").nth(1).and_then(|rest| rest.split(',').next()).context(listens.clone())?;
    let session = machine.run("ps", &["-o", "sid=", "-p", pid])?.success("ps")?;
    ensure!(session.trim() == pid, "{pid} is in session {session}, which a terminal ends");
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
