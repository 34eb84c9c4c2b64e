//! The thread that computes handshakes: however many are asked for, packets of sessions do not wait for them.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::Lane;
use crate::device::{DatagramBatch, HandshakeMessage};

/// Runs until nobody is left who may hand it a message.
pub(super) fn run(lane: &Lane, backlog: &Receiver<HandshakeMessage>) {
    let mut out = DatagramBatch::default();
    while let Some(message) = next(lane, backlog, &mut out) {
        lane.device.handle_handshake(Instant::now(), &message, &mut out);
    }
}

/// The next message. What was answered leaves before it is waited for: a burst's answers together.
fn next(lane: &Lane, backlog: &Receiver<HandshakeMessage>, out: &mut DatagramBatch) -> Option<HandshakeMessage> {
    if !out.is_full()
        && let Ok(message) = backlog.try_recv()
    {
        return Some(message);
    }
    lane.send(out);
    out.clear();
    lane.wake_timers();
    if lane.device.has_handshakes_to_write() {
        lane.wake.raise();
    }
    backlog.recv().ok()
}
