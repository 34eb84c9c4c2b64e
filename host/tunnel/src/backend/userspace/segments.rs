//! How many segments the kernel leaves together in one packet of the interface.
//!
//! Of its own it fills 64 KiB, which of an MTU of 1,420 bytes is 47 segments; sealed, one call sends 45. What is over goes
//! with the next packet or, where none follows at once, in a call of its own. So TCP is told of the lower number.
//!
//! It counts for what is forwarded, too, which was made elsewhere and by another measure: what is longer is cut by the
//! kernel, and comes segment by segment, at twice the cost. So nothing is told where packets are forwarded, and it is taken
//! back when that begins.

use std::fs;
use std::io;

use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

use super::netlink;
use crate::device::packets::message_length;
use crate::limits::{MAX_UDP_PAYLOAD, MAX_UDP_SEGMENTS};

/// What the kernel has of its own (`GSO_MAX_SEGS` of `linux/netdevice.h`).
const UNLIMITED: u32 = 65_535;

/// Whether packets of others go through this machine.
const FORWARDING: [&str; 2] = ["/proc/sys/net/ipv4/conf/all/forwarding", "/proc/sys/net/ipv6/conf/all/forwarding"];

/// Tells the kernel of no more segments than one call sends of an interface of `mtu` bytes; where packets are forwarded, of
/// as many as it likes. Whether they are limited.
///
/// # Errors
///
/// What the kernel says. Then it goes on as before, which costs a little.
pub(super) fn limit(interface: &str, mtu: u16) -> io::Result<bool> {
    let is_limited = !is_forwarding();
    set(interface, if is_limited { of_one_call(mtu) } else { UNLIMITED })?;
    Ok(is_limited)
}

/// Takes it back if packets are forwarded. Whether it stands.
pub(super) fn still_limited(interface: &str) -> io::Result<bool> {
    if !is_forwarding() {
        return Ok(true);
    }
    set(interface, UNLIMITED)?;
    Ok(false)
}

/// Segments of `mtu` bytes that one call sends, sealed. Two at least: one alone would end segmentation.
fn of_one_call(mtu: u16) -> u32 {
    let segments = MAX_UDP_PAYLOAD / message_length(mtu.into(), mtu.into());
    segments.clamp(2, MAX_UDP_SEGMENTS) as u32
}

fn is_forwarding() -> bool {
    FORWARDING.iter().any(|path| fs::read_to_string(path).is_ok_and(|on| on.trim() != "0"))
}

fn set(interface: &str, segments: u32) -> io::Result<()> {
    let mut link = LinkMessage::default();
    link.header.index = if_nametoindex(interface)?;
    link.attributes.push(LinkAttribute::GsoMaxSegs(segments));
    netlink::ask(RouteNetlinkMessage::SetLink(link), 0).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_sends_so_many_segments() {
        // 1,420 bytes are not padded, being all that the interface takes: 45 of 1,452 bytes are 65,340.
        assert_eq!([1_280, 1_420, 8_920, 65_424].map(of_one_call), [49, 45, 7, 2]);
        assert_eq!(of_one_call(576), MAX_UDP_SEGMENTS as u32);
    }
}
