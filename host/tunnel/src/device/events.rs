//! What the device tells whoever listens: sessions that come and go, links that change.

use parking_lot::Mutex;
use servos_mesh::{Link, MeshAddress};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Something happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEvent {
    /// A peer has a session.
    SessionMade(MeshAddress),
    /// A peer has none any more: it was idle, left the mesh, or another has its address.
    SessionGone(MeshAddress),
    /// The way to a peer with a session is seen in another light.
    LinkChanged(MeshAddress, Link),
}

/// Who listens. Nothing is kept while nobody does.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<Vec<UnboundedSender<TunnelEvent>>>);

impl Subscribers {
    pub(super) fn add(&self, sessions: impl Iterator<Item = MeshAddress>) -> UnboundedReceiver<TunnelEvent> {
        let (sender, receiver) = unbounded_channel();
        let mut subscribers = self.0.lock();
        for address in sessions {
            // The receiver is in our hands.
            let _ = sender.send(TunnelEvent::SessionMade(address));
        }
        subscribers.push(sender);
        receiver
    }

    pub(super) fn send(&self, event: TunnelEvent) {
        self.0.lock().retain(|subscriber| subscriber.send(event).is_ok());
    }
}
