//! `servos-agent tunnel` where networks are not plain: moved to another namespace, behind NAT, with jumbo packets,
//! with a hundred thousand prefixes.

mod common;

use std::time::Duration;

use anyhow::{Result, ensure};
use common::{End, PATIENCE};
use servos_lab::{Lab, wait_for};

#[test]
fn an_interface_in_another_namespace_than_its_sockets() -> Result<()> {
    let lab = Lab::new()?;
    let (mut one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    one.namespace = Some("apart");
    one.sh("ip netns add apart && ip link set wg1 netns apart && ip -n apart link set lo up")?;
    one.up()?;
    one.peer(&two, &two.at())?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    two.reaches(&one)?;
    // What is configured there counts: the MTU, and that it is deleted.
    for end in [&one, &two] {
        end.inside("ip link set wg1 mtu 9000")?;
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
    let (client, server) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
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
    let (one, two) = (End::ours(&lab, 1)?, End::ours(&lab, 2)?);
    two.peer(&one, "")?;
    for (endpoint, mtu) in [(two.at(), 1_420), (format!("endpoint {}:10000", two.v6()), 34_736)] {
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

#[test]
fn a_hundred_thousand_prefixes_and_peers_by_the_thousand() -> Result<()> {
    let lab = Lab::new()?;
    let one = End::ours(&lab, 1)?;
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
