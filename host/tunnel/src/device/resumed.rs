//! Sessions over a restart. Their keys are not kept: whoever gets hold of the disk could read what was sent. But without a
//! session here the peer goes on sealing for who is gone, for the fifteen seconds in which it expects an answer. So it is
//! kept with whom keys were agreed of late, and after a restart they are agreed anew at once.
//!
//! 32 bytes a record, numbers little endian: index of the peer's address in the mesh (4), its endpoint's port (2), nothing
//! (2), the endpoint's IPv6 or IPv4-mapped address (16), seconds since 1970 (8).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use servos_mesh::MeshAddress;

use super::journal::{Journal, Kept};
use super::{Device, PeerId};
use crate::limits::{IN_USE, REJECT_AFTER_TIME, RESUME_PAUSE};

/// With whom keys were agreed, when, and where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    server: MeshAddress,
    endpoint: SocketAddr,
    /// Seconds since 1970.
    at: u64,
}

impl Agreed {
    /// Whether the peer may still seal with these keys, `now` being seconds since 1970. The clock may have been set.
    fn may_live(&self, now: u64) -> bool {
        now.abs_diff(self.at) < REJECT_AFTER_TIME.as_secs()
    }
}

/// The same, on the clock that stands still while the machine sleeps, and that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct JustAgreed {
    pub(super) peer: PeerId,
    pub(super) endpoint: SocketAddr,
    pub(super) at: Instant,
}

impl JustAgreed {
    /// `now` is the present on both clocks.
    fn on_the_wall(self, now: (Instant, SystemTime)) -> Option<Agreed> {
        let at = seconds(now.1).saturating_sub(now.0.saturating_duration_since(self.at).as_secs());
        Some(Agreed { server: self.peer.mesh_address()?, endpoint: self.endpoint, at })
    }
}

fn seconds(wall: SystemTime) -> u64 {
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Kept for Agreed {
    const SIZE: usize = 32;
    const WITHOUT: &str = "sessions are not kept: after a restart peers wait fifteen seconds before they agree anew";

    fn write(&self, bytes: &mut Vec<u8>) {
        let ip = match self.endpoint.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        bytes.extend(self.server.index().to_le_bytes());
        bytes.extend(self.endpoint.port().to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(ip.octets());
        bytes.extend(self.at.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (index, rest) = bytes.split_first_chunk()?;
        let (port, rest) = rest.split_first_chunk()?;
        let (ip, rest) = rest.get(2..)?.split_first_chunk::<16>()?;
        let ip = Ipv6Addr::from(*ip).to_canonical();
        let endpoint = SocketAddr::new(ip, u16::from_le_bytes(*port));
        if endpoint.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        let server = MeshAddress::from_index(u32::from_le_bytes(*index)).ok()?;
        Some(Self { server, endpoint, at: u64::from_le_bytes(*rest.first_chunk()?) })
    }
}

/// What was agreed and is to be written; none where nothing is kept.
#[derive(Debug, Default)]
pub(super) struct Unwritten(Mutex<Option<Vec<JustAgreed>>>);

impl Unwritten {
    pub(super) fn note(&self, agreed: impl FnOnce() -> Option<JustAgreed>) {
        if let Some(unwritten) = &mut *self.0.lock() {
            unwritten.extend(agreed());
        }
    }

    fn is_empty(&self) -> bool {
        self.0.lock().as_ref().is_none_or(Vec::is_empty)
    }

    fn begin(&self) {
        *self.0.lock() = Some(Vec::new());
    }

    fn take(&self) -> Vec<JustAgreed> {
        self.0.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Device {
    /// Keeps in a file with whom keys were agreed, and begins to agree anew with those who may still seal with what they
    /// had: the last first, each [`RESUME_PAUSE`] after the one before. What is to be sent becomes due. `now` is the present
    /// on both clocks.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written. Without it, peers notice a restart after fifteen seconds of silence.
    pub fn keep_sessions(&self, now: (Instant, SystemTime), path: &Path) -> io::Result<()> {
        let (now, wall) = (now.0, seconds(now.1));
        let live = Journal::<Agreed>::read(path)?.into_iter().filter(|agreed| agreed.may_live(wall));
        // The last of each.
        let latest: HashMap<MeshAddress, Agreed> = live.map(|agreed| (agreed.server, agreed)).collect();
        let mut latest = Vec::from_iter(latest.into_values());
        latest.sort_by_key(|agreed| std::cmp::Reverse(agreed.at));
        // Beyond that they would not count as in use any more.
        latest.truncate(self.common.limits.sessions.min((IN_USE.as_micros() / RESUME_PAUSE.as_micros()) as usize));
        let mut due = now;
        for agreed in &latest {
            if self.resume(now, agreed, due) {
                due += RESUME_PAUSE;
            }
        }
        if !latest.is_empty() {
            tracing::info!(peers = latest.len(), "agreeing keys anew with those who had sessions before");
        }
        *self.session_journal.lock() = Some(Journal::write_anew(path, &latest)?);
        self.common.agreed.begin();
        Ok(())
    }

    /// Begins a handshake at `due` with who is still a peer.
    fn resume(&self, now: Instant, agreed: &Agreed, due: Instant) -> bool {
        let id = PeerId::from(agreed.server);
        let Some(peer) = self.peers.peer(id) else { return false };
        let Some(cell) = self.make_session(now, id, &peer.public_key) else { return false };
        let mut session = cell.lock();
        session.resume(agreed.endpoint, due);
        self.reschedule(&mut session);
        true
    }

    pub(super) fn has_unwritten_sessions(&self) -> bool {
        !self.common.agreed.is_empty()
    }

    pub(super) fn write_sessions(&self, now: (Instant, SystemTime)) {
        let mut journal = self.session_journal.lock();
        let Some(journal) = &mut *journal else { return };
        let unwritten = Vec::from_iter(self.common.agreed.take().into_iter().filter_map(|one| one.on_the_wall(now)));
        let sessions = self.sessions.read().len();
        if journal.append(&unwritten, sessions) {
            let cells = self.sessions.read().all();
            let last = cells.iter().filter_map(|cell| cell.lock().agreed_last());
            let all = Vec::from_iter(last.filter_map(|one| one.on_the_wall(now)));
            journal.replace(&all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(endpoint: &str) -> Agreed {
        let server = MeshAddress::from_index(7).expect("an address");
        Agreed { server, endpoint: endpoint.parse().expect("an endpoint"), at: 1_700_000_000 }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for endpoint in ["192.0.2.1:51820", "[2001:db8::1]:1"] {
            let mut bytes = Vec::new();
            agreed(endpoint).write(&mut bytes);
            assert_eq!(bytes.len(), Agreed::SIZE);
            assert_eq!(Agreed::read(&bytes), Some(agreed(endpoint)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_record() {
        for endpoint in ["192.0.2.1:0", "0.0.0.0:1", "[ff02::1]:1", "224.0.0.1:1"] {
            let mut bytes = Vec::new();
            agreed(endpoint).write(&mut bytes);
            assert_eq!(Agreed::read(&bytes), None, "{endpoint}");
        }
        assert_eq!(Agreed::read(&[0xff; 32]), None, "no address of a mesh");
        for cut in 0..Agreed::SIZE {
            assert_eq!(Agreed::read(&[1; Agreed::SIZE][..cut]), None);
        }
    }

    #[test]
    fn keys_live_for_three_minutes_whichever_way_the_clock_was_set() {
        let agreed = agreed("192.0.2.1:1");
        for (now, lives) in [(agreed.at, true), (agreed.at + 179, true), (agreed.at + 180, false)] {
            assert_eq!(agreed.may_live(now), lives, "{now}");
        }
        assert!(agreed.may_live(agreed.at - 5) && !agreed.may_live(agreed.at - 3_600) && !agreed.may_live(0));
    }
}
