//! The thread that computes handshakes: however many are asked for, packets of sessions do not wait for them.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::Lane;
use crate::device::{DatagramBatch, HandshakeMessage};

/// Runs until nobody is left who may hand it a message. What a message asks for leaves before the next is looked at: among
/// it may be packets that waited for the handshake, and what comes after them from the interface is on its way already.
pub(super) fn run(lane: &Lane, backlog: &Receiver<HandshakeMessage>) {
    let mut out = DatagramBatch::default();
    while let Ok(message) = backlog.recv() {
        lane.device.handle_handshake(Instant::now(), &message, &mut out);
        lane.send(&out);
        out.clear();
        lane.wake_timers();
        if lane.device.has_unwritten() {
            lane.wake.raise();
        }
    }
}
