//! `WG_TUN_FD`: whoever starts `servos-agent tunnel` may open the interface, with or without offload's headers.

use std::time::Duration;

use anyhow::{Result, ensure};
use servos_lab::{Daemon, Lab, Machine, Programs, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// Flags of `TUNSETIFF` (Linux `if_tun.h`): IFF_TUN and IFF_NO_PI, without and with IFF_VNET_HDR; IFF_TAP.
const PLAIN: &str = "0x1001";
const WITH_HEADERS: &str = "0x5001";
const TAP: &str = "0x1002";

/// Opens `wg1` with the flags of its second argument, and becomes the program of its first. Where it has headers, these are
/// of 12 bytes (`TUNSETVNETHDRSZ`), as virtual machines want them.
const OPEN: &str = "import fcntl,os,struct,sys
fd=os.open('/dev/net/tun',os.O_RDWR)
fcntl.ioctl(fd,0x400454ca,struct.pack('16sH22x',b'wg1',int(sys.argv[2],16)))
if int(sys.argv[2],16)&0x4000: fcntl.ioctl(fd,0x400454d8,struct.pack('i',12))
os.set_inheritable(fd,True)
os.environ['WG_TUN_FD']=str(fd)
os.execv(sys.argv[1],[sys.argv[1],'tunnel','-f','wg1'])";

fn start(machine: &Machine, flags: &str, number: u8) -> Result<(Daemon, String)> {
    let agent = Programs::find()?.agent;
    let tunnel = machine.spawn("tunnel", "python3", &["-c", OPEN, &agent.display().to_string(), flags], "")?;
    wait_for("wg1", PATIENCE, || machine.run("wg", &["show", "wg1"])?.success("wg show").map(drop))?;
    let up = format!(
        "umask 77; wg genkey > /run/key; wg set wg1 private-key /run/key listen-port 10000 && \
         ip addr add 192.168.241.{number}/24 dev wg1 && ip link set wg1 mtu 1420 up && wg pubkey < /run/key"
    );
    let key = machine.sh(&up)?.success("configure wg1")?.trim().to_owned();
    Ok((tunnel, key))
}

#[test]
fn streams_pass_whatever_stands_before_a_packet() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (lab.machine("m1")?, lab.machine("m2")?);
    let (_ones, first) = start(&one, PLAIN, 1)?;
    let (_twos, second) = start(&two, WITH_HEADERS, 2)?;
    for (here, key, there, number) in [(&one, &second, &two, 2), (&two, &first, &one, 1)] {
        let peer =
            format!("wg set wg1 peer {key} allowed-ips 192.168.241.{number}/32 endpoint {}:10000", there.address());
        here.sh(&peer)?.success("wg set")?;
    }
    one.run("ping", &["-c", "3", "-i", "0.2", "-W", "5", "192.168.241.2"])?.success("ping")?;
    for way in [&[][..], &["-R"]] {
        let _server = two.spawn("iperf3", "iperf3", &["-s", "-1", "-B", "192.168.241.2"], "")?;
        wait_for("iperf3 -s", PATIENCE, || two.sh("ss -tln | grep -q :5201")?.success("ss").map(drop))?;
        let stream = ["-c", "192.168.241.2", "-t", "2", "--json"];
        let report = one.run("iperf3", &[&stream[..], way].concat())?.success("iperf3")?;
        let report: serde_json::Value = serde_json::from_str(&report)?;
        let bits = report["end"]["sum_received"]["bits_per_second"].as_f64().unwrap_or_default();
        ensure!(bits > 1e6, "{way:?}: {bits} bit/s");
    }
    Ok(())
}

#[test]
fn what_is_no_tun_device_is_refused() -> Result<()> {
    let lab = Lab::new()?;
    let machine = lab.machine("m1")?;
    let agent = Programs::find()?.agent.display().to_string();
    let refused = machine.run("python3", &["-c", OPEN, &agent, TAP])?;
    ensure!(refused.status.code() == Some(1) && refused.stderr.contains("is no TUN device"), "{}", refused.all());
    let refused = machine.sh(&format!("WG_TUN_FD=7 {agent} tunnel -f wg1 7</dev/null"))?;
    ensure!(refused.status.code() == Some(1) && refused.stderr.contains("is no TUN device"), "{}", refused.all());
    Ok(())
}
