//! `WG_TUN_FD`, `WG_UAPI_FD`: whoever starts `servos-agent tunnel` may open the interface, with or without offload's
//! headers, and the socket.

mod common;

use anyhow::{Context, Result, ensure};
use common::End;
use servos_lab::{Lab, Programs};

/// Flags of `TUNSETIFF` (Linux `if_tun.h`): IFF_TUN and IFF_NO_PI, without and with IFF_VNET_HDR; IFF_TAP.
const PLAIN: &str = "0x1001";
const WITH_HEADERS: &str = "0x5001";
const TAP: &str = "0x1002";

/// Opens `wg1` with the flags of its second argument, and the socket if there is a third; becomes the program of its
/// first. Headers, where there are any, are of 12 bytes before (`TUNSETVNETHDRSZ`), as virtual machines want them.
const OPEN: &str = "
import fcntl, os, socket, struct, sys
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'wg1', int(sys.argv[2], 16)))
if int(sys.argv[2], 16) & 0x4000:
    fcntl.ioctl(tun, 0x400454d8, struct.pack('i', 12))
os.set_inheritable(tun, True)
os.environ['WG_TUN_FD'] = str(tun)
if len(sys.argv) > 3:
    os.makedirs('/var/run/wireguard', exist_ok=True)
    uapi = socket.socket(socket.AF_UNIX)
    uapi.bind('/var/run/wireguard/wg1.sock')
    uapi.listen()
    os.set_inheritable(uapi.fileno(), True)
    os.environ['WG_UAPI_FD'] = str(uapi.fileno())
os.execv(sys.argv[1], [sys.argv[1], 'tunnel', '-f', 'wg1'])
";

#[test]
fn streams_pass_whatever_stands_before_a_packet() -> Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (opened(&lab, 1, &[PLAIN])?, opened(&lab, 2, &[WITH_HEADERS])?);
    for end in [&one, &two] {
        end.sh("ip link set wg1 mtu 1420")?;
    }
    one.peer(&two, &two.at())?;
    two.peer(&one, "")?;
    one.reaches(&two)?;
    one.streams(&two, "192.168.241.2")?;
    two.streams(&one, "192.168.241.1")
}

#[test]
fn streams_pass_with_a_socket_that_somebody_else_opened_too() -> Result<()> {
    let lab = Lab::new()?;
    let (given, other) = (opened(&lab, 1, &[PLAIN, "uapi"])?, End::ours(&lab, 2)?);
    given.peer(&other, &other.at())?;
    other.peer(&given, "")?;
    given.reaches(&other)?;
    other.reaches(&given)?;
    given.streams(&other, "192.168.241.2")?;
    other.streams(&given, "fd00::1")
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

fn opened(lab: &Lab, number: u8, how: &[&str]) -> Result<End> {
    let agent = Programs::find()?.agent;
    let agent = agent.to_str().context("a path of text")?;
    End::new(lab, number, "python3", &[&["-c", OPEN, agent], how].concat())
}
