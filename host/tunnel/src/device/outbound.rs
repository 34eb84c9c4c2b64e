//! Packets from the interface: whose they are, sealed or held.

use std::time::Instant;

use super::packets::Packets;
use super::peers::Unroutable;
use super::{DatagramBatch, Device};

impl Device {
    /// Takes packets of one destination from the interface. What is to be sent goes into `out`.
    pub fn handle_packets<P: Packets + ?Sized>(&self, now: Instant, packets: &P, out: &mut DatagramBatch) {
        let (drops, count) = (&self.common.counters.drops, packets.count() as u64);
        let Some(destination) = packets.destination() else { return drops.no_ip.add(count) };
        let peer = match self.peers.route(destination) {
            Ok(peer) => peer,
            Err(Unroutable::Outside) => return drops.outside_mesh.add(count),
            Err(Unroutable::Unknown) => return drops.unknown_address.add(count),
        };
        // A session that ends between being found and being locked is made anew; twice in a row is nobody's luck.
        for _ in 0..3 {
            let Some(cell) = self.session_to(now, peer, count) else { return };
            let mut session = cell.lock();
            if session.is_gone() {
                continue;
            }
            let sealer = session.take(&self.common, now, packets, out);
            self.reschedule(&mut session);
            drop(session);
            if let Some(sealer) = sealer {
                sealer.seal_all(packets, out);
            }
            return;
        }
        drops.unknown_address.add(count);
    }
}
