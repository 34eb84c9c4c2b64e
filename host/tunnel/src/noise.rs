//! The seam to the noise library (`boringtun`): handshakes, sealing, opening. No other file names it.
//!
//! The library's own timers and clock are not used: which keypair is young enough is decided here, with the time that
//! is passed in. Its clock is advanced (`refresh`) only where it orders or erases its keypairs, on handshakes and when
//! a keypair has died. Its queue is never used either: what waits for a handshake waits in the session.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use servos_mesh::PublicKey;

use crate::PrivateKey;
use crate::limits::{OVERHEAD, REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME};

/// Keypairs that the library keeps, by their local index modulo this.
const KEYPAIRS: usize = 8;

/// Shorter than an initiation (148 bytes), so that the library's own timers never send one, and long enough for an
/// empty packet, below which the library panics.
const REFRESH_BUFFER: usize = 147;

/// Bytes of the longest handshake message; the library panics when it is given less room.
pub(crate) const HANDSHAKE_ROOM: usize = 148;

/// What a datagram claims to be, by type, reserved bytes and length alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Initiation,
    Response { receiver: u32 },
    Cookie { receiver: u32 },
    Transport { receiver: u32 },
}

impl Message {
    /// `None` for what is no WireGuard message (WireGuard paper §5.4).
    pub(crate) fn of(datagram: &[u8]) -> Option<Self> {
        let word = |at: usize| datagram.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
        match (word(0)?, datagram.len()) {
            (1, crate::initiation::LENGTH) => Some(Self::Initiation),
            (2, 92) => Some(Self::Response { receiver: word(8)? }),
            (3, 64) => Some(Self::Cookie { receiver: word(4)? }),
            (4, OVERHEAD..) => Some(Self::Transport { receiver: word(4)? }),
            _ => None,
        }
    }
}

/// Why the library refused a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its first MAC is wrong.
    Mac,
    /// It does not authenticate, or nobody asked for it.
    Invalid,
    /// Its timestamp is not newer than the last one.
    Replayed,
    /// Its keypair is unknown or too old.
    NoKeypair,
}

/// What stands before all handshakes of a device: the first MAC, and cookies when there are too many.
pub(crate) struct Guard {
    limited: RateLimiter,
    /// For the sessions: what comes to them has been counted.
    unlimited: Arc<RateLimiter>,
}

/// Verdict of the [`Guard`].
pub(crate) enum Admission {
    Granted,
    /// The first bytes of the room are a cookie to be sent back: so many.
    Cookie(usize),
    Refused,
}

impl Guard {
    pub(crate) fn new(own: &PrivateKey, handshakes_a_second: u64) -> Self {
        let public = x25519_dalek::PublicKey::from(own.secret());
        Self {
            limited: RateLimiter::new(&public, handshakes_a_second),
            unlimited: Arc::new(RateLimiter::new(&public, u64::MAX)),
        }
    }

    /// Checks an initiation before any curve is computed. `room` has at least 64 bytes.
    pub(crate) fn admit(&self, source: IpAddr, datagram: &[u8], room: &mut [u8]) -> Admission {
        // Counts anew when a second has passed.
        self.limited.reset_count();
        match self.limited.verify_packet(Some(source), datagram, room) {
            Ok(_) => Admission::Granted,
            Err(TunnResult::WriteToNetwork(cookie)) => Admission::Cookie(cookie.len()),
            Err(_) => Admission::Refused,
        }
    }
}

/// A keypair that was agreed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keypair {
    /// Our index of it.
    index: u32,
    born: Instant,
    /// Orders keypairs that were born at one instant.
    serial: u64,
    /// Whether we sent the initiation: who did renews it.
    pub(crate) initiator: bool,
    /// Messages that were sealed with it.
    pub(crate) sealed: u64,
}

impl Keypair {
    /// How old it is.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// When it dies.
    pub(crate) fn dies(&self) -> Instant {
        self.born + REJECT_AFTER_TIME
    }

    fn is_alive(&self, now: Instant) -> bool {
        self.age(now) < REJECT_AFTER_TIME
    }
}

/// What [`Noise::open`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Bytes of the packet, its padding cut off; 0 for an empty one.
    pub(crate) length: usize,
    /// The message was the first of a keypair that is used for sending from here on.
    pub(crate) confirmed: bool,
}

/// Handshakes and keypairs of one session.
pub(crate) struct Noise {
    tunn: Box<Tunn>,
    keypairs: [Option<Keypair>; KEYPAIRS],
    /// Which of `keypairs` seals: the newest that the peer has shown to hold.
    current: Option<usize>,
    serial: u64,
    /// Index of the initiation that awaits its response.
    awaited: Option<u32>,
}

impl Noise {
    /// `key` is below 2^24; receiver indices are `key << 8` and what follows.
    pub(crate) fn new(own: &PrivateKey, peer: &PublicKey, key: u32, guard: &Guard) -> Self {
        let peer = (*peer.as_bytes()).into();
        let limiter = Some(guard.unlimited.clone());
        Self {
            tunn: Box::new(Tunn::new(own.secret().clone(), peer, None, None, key, limiter)),
            keypairs: [None; KEYPAIRS],
            current: None,
            serial: 0,
            awaited: None,
        }
    }

    /// Writes an initiation; returns its length. `room` has at least [`HANDSHAKE_ROOM`].
    pub(crate) fn initiate(&mut self, room: &mut [u8]) -> Option<usize> {
        self.refresh();
        match self.tunn.format_handshake_initiation(room, true) {
            TunnResult::WriteToNetwork(message) => {
                self.awaited = sender_index(message);
                Some(message.len())
            }
            _ => None,
        }
    }

    /// Takes an initiation and writes the response; returns its length.
    pub(crate) fn respond(&mut self, now: Instant, datagram: &[u8], room: &mut [u8]) -> Result<usize, Refused> {
        self.refresh();
        let response = self.exchange(datagram, room)?;
        let index = sender_index(&room[..response]).ok_or(Refused::Invalid)?;
        self.agree(now, index, false);
        Ok(response)
    }

    /// Takes a response and writes the empty packet that confirms it; returns its length.
    pub(crate) fn finish(&mut self, now: Instant, datagram: &[u8], room: &mut [u8]) -> Result<usize, Refused> {
        self.refresh();
        let Some(Message::Response { receiver }) = Message::of(datagram) else { return Err(Refused::Invalid) };
        let confirmation = self.exchange(datagram, room)?;
        let slot = self.agree(now, receiver, true);
        self.current = Some(slot);
        if let Some(keypair) = &mut self.keypairs[slot] {
            keypair.sealed = 1;
        }
        Ok(confirmation)
    }

    /// Whether a response to that index answers the initiation that was sent last.
    pub(crate) fn awaits(&self, receiver: u32) -> bool {
        self.awaited == Some(receiver)
    }

    /// Takes a cookie, which goes into the next initiation.
    pub(crate) fn take_cookie(&mut self, datagram: &[u8]) -> Result<(), Refused> {
        match self.tunn.decapsulate(None, datagram, &mut [0; HANDSHAKE_ROOM]) {
            TunnResult::Done => Ok(()),
            _ => Err(Refused::Invalid),
        }
    }

    /// The keypair that seals, if it is alive.
    pub(crate) fn current(&self, now: Instant) -> Option<&Keypair> {
        let keypair = self.keypairs[self.current?].as_ref()?;
        (keypair.is_alive(now) && keypair.sealed < REJECT_AFTER_MESSAGES).then_some(keypair)
    }

    /// When the newest keypair dies, be it confirmed or not.
    pub(crate) fn last_dies(&self) -> Option<Instant> {
        self.keypairs.iter().flatten().map(Keypair::dies).max()
    }

    /// Seals a packet (empty: a keepalive) into `room`, which is [`OVERHEAD`] longer and no less than
    /// [`HANDSHAKE_ROOM`]; returns the length. `None` without a living keypair.
    pub(crate) fn seal(&mut self, now: Instant, packet: &[u8], room: &mut [u8]) -> Option<usize> {
        self.current(now)?;
        let keypair = self.keypairs[self.current?].as_mut()?;
        keypair.sealed += 1;
        match self.tunn.encapsulate(packet, room) {
            // Transport messages alone: `refresh` has told of keypairs that the library dropped.
            TunnResult::WriteToNetwork(message) if message.first() == Some(&4) => Some(message.len()),
            _ => None,
        }
    }

    /// Opens a transport message into `room`, which is not shorter.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        receiver: u32,
        datagram: &[u8],
        room: &mut [u8],
    ) -> Result<Opened, Refused> {
        let slot = receiver as usize % KEYPAIRS;
        let keypair = self.keypairs[slot].filter(|known| known.index == receiver && known.is_alive(now));
        let keypair = keypair.ok_or(Refused::NoKeypair)?;
        let counter = datagram.get(8..16).and_then(|eight| eight.try_into().ok()).map(u64::from_le_bytes);
        if counter.is_none_or(|counter| counter >= REJECT_AFTER_MESSAGES) {
            return Err(Refused::Invalid);
        }
        let length = match self.tunn.decapsulate(None, datagram, room) {
            TunnResult::Done => 0,
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => packet.len(),
            _ => return Err(Refused::Invalid),
        };
        let confirmed = match self.current.and_then(|at| self.keypairs[at]) {
            None => true,
            Some(current) => current.serial < keypair.serial,
        };
        if confirmed {
            self.current = Some(slot);
        }
        Ok(Opened { length, confirmed })
    }

    /// Lets the library erase keypairs that have died, and forgets what it has dropped.
    pub(crate) fn refresh(&mut self) {
        // What the library's own timers would send is not sent: ours decide.
        let _ = self.tunn.update_timers(&mut [0; REFRESH_BUFFER]);
        if self.tunn.time_since_last_handshake().is_none() {
            self.current = None;
        }
    }

    /// Drops our side of keypairs that are dead at `now`.
    pub(crate) fn bury(&mut self, now: Instant) {
        self.refresh();
        for keypair in &mut self.keypairs {
            if keypair.is_some_and(|known| !known.is_alive(now)) {
                *keypair = None;
            }
        }
    }

    fn exchange(&mut self, datagram: &[u8], room: &mut [u8]) -> Result<usize, Refused> {
        match self.tunn.decapsulate(None, datagram, room) {
            TunnResult::WriteToNetwork(message) => Ok(message.len()),
            TunnResult::Err(WireGuardError::WrongTai64nTimestamp) => Err(Refused::Replayed),
            TunnResult::Err(WireGuardError::InvalidMac) => Err(Refused::Mac),
            _ => Err(Refused::Invalid),
        }
    }

    fn agree(&mut self, now: Instant, index: u32, initiator: bool) -> usize {
        self.serial += 1;
        let slot = index as usize % KEYPAIRS;
        self.keypairs[slot] = Some(Keypair { index, born: now, serial: self.serial, initiator, sealed: 0 });
        if initiator {
            self.awaited = None;
        }
        slot
    }
}

/// Index of whoever sent an initiation or a response.
fn sender_index(message: &[u8]) -> Option<u32> {
    message.get(4..8)?.try_into().ok().map(u32::from_le_bytes)
}
