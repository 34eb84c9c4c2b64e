//! A packet from the interface: whose it is, sealed or held.

use std::net::Ipv4Addr;
use std::time::Instant;

use servos_mesh::MeshAddress;

use super::{DatagramBatch, Device};
use crate::limits::PADDING;

/// Bytes of the shortest IPv4 header, and where its destination stands (RFC 791 §3.1).
const IPV4_HEADER: usize = 20;
const IPV4_DESTINATION: usize = 16;

impl Device {
    /// Takes a packet from the interface: the first `length` bytes of `buffer`. What is to be sent goes into `out`.
    ///
    /// The packet is padded in place with zeros to a multiple of 16 bytes, within the MTU and as far as `buffer` goes.
    pub fn handle_packet(&self, now: Instant, buffer: &mut [u8], length: usize, out: &mut DatagramBatch) {
        let drops = &self.common.counters.drops;
        let Some(destination) = buffer.get(..length).and_then(ipv4_destination) else {
            drops.not_ipv4.one();
            return;
        };
        let Ok(address) = MeshAddress::try_from(destination) else {
            drops.outside_mesh.one();
            return;
        };
        let padded = padded_length(length, self.mtu().into(), buffer.len());
        buffer[length..padded].fill(0);
        // A session that ends between being found and being locked is made anew; twice in a row is nobody's luck.
        for _ in 0..3 {
            let Some(cell) = self.session_to(now, address) else { return };
            let mut session = cell.lock();
            if session.is_gone() {
                continue;
            }
            session.send(&self.common, now, &buffer[..padded], length, out);
            self.reschedule(&mut session);
            return;
        }
        drops.unknown_address.one();
    }
}

fn ipv4_destination(packet: &[u8]) -> Option<Ipv4Addr> {
    if packet.len() < IPV4_HEADER || packet[0] >> 4 != 4 {
        return None;
    }
    let octets: [u8; 4] = packet.get(IPV4_DESTINATION..IPV4_DESTINATION + 4)?.try_into().ok()?;
    Some(octets.into())
}

/// Bytes of a packet with its padding (WireGuard paper §5.4.6): never beyond the MTU.
fn padded_length(length: usize, mtu: usize, room: usize) -> usize {
    length.next_multiple_of(PADDING).min(mtu).min(room).max(length)
}
