//! Who may ask for a handshake, and how often: the first MAC for everybody; when there are too many, a cookie first, and
//! then so many a source (WireGuard paper §5.3).
//!
//! A handshake is the only costly thing that a stranger can ask for. Below the limit all are granted. Above it, only
//! those who show that they receive what is sent to their address, each at a rate of its own, and in all never more than
//! the limit again. Cookies have a rate a source, too, and one in all: what a flood brings beyond them costs a look at
//! a counter ([`Guard::sheds`]). Some are left to whoever comes first: a peer in whose name others flood may get one.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use servos_mesh::PublicKey;

use super::macs::{MAC, MacKeys, is_mac2_right, lacks_mac2, mac};
use super::message::COOKIE;
use crate::limits::{
    COOKIE_COUNTERS, COOKIES_A_SECOND, HANDSHAKE_SOURCES, SHARED_COOKIES_A_SECOND, SOURCE_BURST,
    SOURCE_COOKIES_A_SECOND, SOURCE_HANDSHAKES_A_SECOND,
};

/// The secret that cookies are made of lives so long (§5.4.7).
const SECRET_AGE: Duration = Duration::from_secs(120);

/// Verdict of the [`Guard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The message may be read, with that key.
    Granted(Addressed),
    /// This is to be sent back in its place.
    Cookie([u8; COOKIE]),
    /// Its first MAC is wrong.
    WrongMac,
    /// Its sender, or everybody, asks too often.
    TooMany,
}

/// Which of our keys a message was sent to: its first MAC says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressed {
    /// The one that we use ourselves.
    Present,
    /// The one beside it, while we rotate.
    Other,
}

/// See the module.
pub(crate) struct Guard {
    keys: MacKeys,
    /// While there is a second key.
    other: Option<MacKeys>,
    limit: u32,
    /// Common to all keys.
    load: Arc<Mutex<Load>>,
}

struct Load {
    /// The second that is counted, and what came in it.
    since: Instant,
    arrived: u32,
    granted: u32,
    /// More than the limit came in the second before.
    was_loaded: bool,
    secret: [u8; 32],
    secret_since: Instant,
    sources: HashMap<Source, Allowance>,
    cookies: CookiesSent,
}

/// How many cookies were sent in this second to whom. A source is whatever a stranger writes into a packet: so many
/// counters and no more, and which one is a source's nobody can tell from outside.
struct CookiesSent {
    hasher: RandomState,
    counts: Box<[u8]>,
    /// In all.
    sent: u16,
    /// To those who had had theirs.
    shared: u16,
}

/// Whose cookie another one would be.
enum Share {
    /// Its source's own.
    Own,
    /// One of those that are left to all.
    Shared,
}

/// Who is counted together: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Source(u64, bool);

/// A token bucket.
#[derive(Clone, Copy)]
struct Allowance {
    tokens: f64,
    at: Instant,
}

impl Guard {
    /// Guards the handshakes to `own`: `limit` of them a second, then cookies.
    pub(crate) fn new(now: Instant, own: &PublicKey, limit: u32) -> Self {
        let load = Load {
            since: now,
            arrived: 0,
            granted: 0,
            was_loaded: false,
            secret: rand::random(),
            secret_since: now,
            sources: HashMap::new(),
            cookies: CookiesSent {
                hasher: RandomState::new(),
                counts: vec![0; COOKIE_COUNTERS].into(),
                sent: 0,
                shared: 0,
            },
        };
        Self { keys: MacKeys::of(own), other: None, limit, load: Arc::new(Mutex::new(load)) }
    }

    /// The same guard for other keys: cookies stay good, and what was counted counts.
    pub(crate) fn to(&self, own: &PublicKey, other: Option<&PublicKey>) -> Self {
        Self { keys: MacKeys::of(own), other: other.map(MacKeys::of), limit: self.limit, load: self.load.clone() }
    }

    /// Whether the first MAC of a message is right: for responses, which only those may send who were asked.
    pub(crate) fn is_for_us(&self, message: &[u8]) -> bool {
        self.addressed(message).is_some()
    }

    /// Whether an initiation could only be refused, told without a hash of it: there are too many, it brings no cookie, and
    /// none is left for its source in this second. It is counted then, whatever its first MAC.
    pub(crate) fn sheds(&self, now: Instant, source: SocketAddr, message: &[u8]) -> bool {
        if !lacks_mac2(message) {
            return false;
        }
        let mut load = self.load.lock();
        load.begin_second(now, self.limit);
        let sheds = load.is_heavy(self.limit) && !load.cookies.has_left(Source::of(source.ip()));
        load.arrived = load.arrived.saturating_add(u32::from(sheds));
        sheds
    }

    /// Judges an initiation before any curve is computed.
    pub(crate) fn admit(&self, now: Instant, source: SocketAddr, message: &[u8]) -> Admission {
        let Some((addressed, keys)) = self.addressed(message) else { return Admission::WrongMac };
        let mut load = self.load.lock();
        load.begin_second(now, self.limit);
        let is_heavy = load.is_heavy(self.limit);
        load.arrived = load.arrived.saturating_add(1);
        if !is_heavy {
            load.granted += 1;
            return Admission::Granted(addressed);
        }
        let cookie = load.cookie(now, source);
        if !is_mac2_right(&cookie, message) {
            if !load.cookies.allow(Source::of(source.ip())) {
                return Admission::TooMany;
            }
            drop(load);
            let mut reply = [0; COOKIE];
            return match keys.seal_cookie(&cookie, message, &mut reply) {
                Some(()) => Admission::Cookie(reply),
                None => Admission::TooMany,
            };
        }
        // A limit of 0 asks everybody for a cookie.
        if load.granted >= self.limit.max(SOURCE_BURST) || !load.allow(now, Source::of(source.ip())) {
            return Admission::TooMany;
        }
        load.granted += 1;
        Admission::Granted(addressed)
    }

    fn addressed(&self, message: &[u8]) -> Option<(Addressed, &MacKeys)> {
        if self.keys.is_mac1_right(message) {
            return Some((Addressed::Present, &self.keys));
        }
        let other = self.other.as_ref().filter(|other| other.is_mac1_right(message))?;
        Some((Addressed::Other, other))
    }
}

impl Load {
    /// Begins another second if the last is over.
    fn begin_second(&mut self, now: Instant, limit: u32) {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        if seconds > 0 {
            self.was_loaded = seconds == 1 && self.arrived > limit;
            self.since = now;
            self.arrived = 0;
            self.granted = 0;
            self.cookies.begin_second();
        }
    }

    /// Whether as many came as are granted without a cookie, in this second or the one before.
    fn is_heavy(&self, limit: u32) -> bool {
        self.was_loaded || self.arrived >= limit
    }

    fn cookie(&mut self, now: Instant, source: SocketAddr) -> [u8; MAC] {
        if now.saturating_duration_since(self.secret_since) >= SECRET_AGE {
            self.secret = rand::random();
            self.secret_since = now;
        }
        let port = source.port().to_le_bytes();
        match source.ip() {
            IpAddr::V4(ip) => mac(&self.secret, &[&ip.octets(), &port]),
            IpAddr::V6(ip) => mac(&self.secret, &[&ip.octets(), &port]),
        }
    }

    /// Takes a token of a source. When too many sources are known, those that are full again are forgotten.
    fn allow(&mut self, now: Instant, source: Source) -> bool {
        if self.sources.len() >= HANDSHAKE_SOURCES && !self.sources.contains_key(&source) {
            self.sources.retain(|_, allowance| allowance.at(now) < f64::from(SOURCE_BURST));
            if self.sources.len() >= HANDSHAKE_SOURCES {
                return false;
            }
        }
        let full = Allowance { tokens: f64::from(SOURCE_BURST), at: now };
        let allowance = self.sources.entry(source).or_insert(full);
        let tokens = allowance.at(now);
        let allowed = tokens >= 1.0;
        *allowance = Allowance { tokens: if allowed { tokens - 1.0 } else { tokens }, at: now };
        allowed
    }
}

impl CookiesSent {
    fn begin_second(&mut self) {
        self.counts.fill(0);
        self.sent = 0;
        self.shared = 0;
    }

    fn has_left(&self, source: Source) -> bool {
        self.share_left(self.counter_of(source)).is_some()
    }

    /// Counts one, unless there were too many.
    fn allow(&mut self, source: Source) -> bool {
        let at = self.counter_of(source);
        match self.share_left(at) {
            Some(Share::Own) => self.counts[at] += 1,
            Some(Share::Shared) => self.shared += 1,
            None => return false,
        }
        self.sent += 1;
        true
    }

    fn share_left(&self, counter: usize) -> Option<Share> {
        if self.sent >= COOKIES_A_SECOND {
            return None;
        }
        if self.counts[counter] < SOURCE_COOKIES_A_SECOND {
            return Some(Share::Own);
        }
        (self.shared < SHARED_COOKIES_A_SECOND).then_some(Share::Shared)
    }

    fn counter_of(&self, source: Source) -> usize {
        self.hasher.hash_one(source) as usize % self.counts.len()
    }
}

impl Allowance {
    /// Tokens by now.
    fn at(&self, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(SOURCE_HANDSHAKES_A_SECOND);
        (self.tokens + gained).min(f64::from(SOURCE_BURST))
    }
}

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(u32::from(ip).into(), true),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]), false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::macs::PeerMacs;
    use super::super::message::INITIATION;
    use super::*;
    use crate::PrivateKey;

    const LIMIT: u32 = 10;
    const GRANTED: Admission = Admission::Granted(Addressed::Present);

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], 51_820))
    }

    fn guarded(now: Instant) -> (PublicKey, Guard, PeerMacs) {
        let key = PrivateKey::generate().public_key();
        (key, Guard::new(now, &key, LIMIT), PeerMacs::new(&key))
    }

    fn stamped(macs: &mut PeerMacs, now: Instant) -> [u8; INITIATION] {
        let mut message: [u8; INITIATION] = std::array::from_fn(|_| rand::random());
        message[0] = 1;
        macs.stamp(now, &mut message);
        message
    }

    #[test]
    fn a_wrong_mac_is_never_granted_and_counts_for_nothing() {
        let now = Instant::now();
        let (_, guard, mut macs) = guarded(now);
        let mut message = stamped(&mut macs, now);
        message[20] ^= 1;
        for _ in 0..100 {
            assert_eq!(guard.admit(now, from(1), &message), Admission::WrongMac);
        }
        assert_eq!(guard.admit(now, from(1), &stamped(&mut macs, now)), GRANTED);
    }

    #[test]
    fn a_flood_gets_cookies_and_whoever_returns_one_gets_through() {
        let now = Instant::now();
        let (key, guard, mut flood) = guarded(now);
        let mut honest = PeerMacs::new(&key);
        let granted = (0..1_000).filter(|_| guard.admit(now, from(1), &stamped(&mut flood, now)) == GRANTED);
        assert_eq!(granted.count(), LIMIT as usize, "the curve is computed so often, however many come");

        // A second later the flood goes on.
        let later = now + Duration::from_secs(1);
        assert!(matches!(guard.admit(later, from(1), &stamped(&mut flood, later)), Admission::Cookie(_)));
        let Admission::Cookie(reply) = guard.admit(later, from(2), &stamped(&mut honest, later)) else {
            panic!("no cookie")
        };
        assert!(honest.take_cookie(later, &reply));
        assert!(!flood.take_cookie(later, &reply), "another's cookie");
        let message = stamped(&mut honest, later);
        assert_eq!(guard.admit(later, from(2), &message), GRANTED);
        assert!(matches!(guard.admit(later, from(3), &message), Admission::Cookie(_)), "bound to its source");

        // Each source has a rate of its own.
        let more = (0..100).filter(|_| guard.admit(later, from(2), &message) == GRANTED).count();
        assert_eq!(more, SOURCE_BURST as usize - 1);
        let mut last = guard.admit(later, from(2), &message);
        assert_eq!(last, Admission::TooMany);
        // The secret is renewed.
        let much_later = later + SECRET_AGE;
        for _ in 0..=LIMIT {
            last = guard.admit(much_later, from(2), &message);
        }
        assert!(matches!(last, Admission::Cookie(_)));
    }

    /// Cookies that one source gets in a second in which nobody else asks.
    const MOST: usize = SOURCE_COOKIES_A_SECOND as usize + SHARED_COOKIES_A_SECOND as usize;

    #[test]
    fn a_source_gets_so_many_cookies_a_second_and_others_get_theirs() {
        let now = Instant::now();
        let (_, guard, mut macs) = guarded(now);
        for _ in 0..=LIMIT {
            guard.admit(now, from(1), &stamped(&mut macs, now));
        }
        let mut cookies = |at, host, count| {
            let admitted = (0..count).map(|_| guard.admit(at, from(host), &stamped(&mut macs, at)));
            admitted.filter(|admission| matches!(admission, Admission::Cookie(_))).count()
        };
        let later = now + Duration::from_secs(1);
        assert_eq!(cookies(later, 1, MOST + 1_000), MOST);
        // 250 others share 4,096 counters with it: hardly any two the same.
        let others: usize = (2..252).map(|host| cookies(later, host, 1)).sum();
        assert!(others > 240, "{others}");
        assert_eq!(cookies(later + Duration::from_secs(1), 1, MOST + 1_000), MOST, "each second anew");
    }

    #[test]
    fn a_peer_in_whose_name_others_flood_gets_a_cookie_now_and_then() {
        let now = Instant::now();
        let (key, guard, mut flood) = guarded(now);
        let mut honest = PeerMacs::new(&key);
        let message = stamped(&mut flood, now);
        // Of 50,000 a second each hundredth is the peer's: it comes when it comes.
        let mut asked = 0;
        let answered = (0..50_000_u32).find(|nth| {
            let at = now + Duration::from_secs(1) + Duration::from_micros(20) * *nth;
            let own = nth % 100 == 50;
            let message = if own { stamped(&mut honest, at) } else { message };
            asked += u32::from(own);
            if guard.sheds(at, from(1), &message) {
                return false;
            }
            match guard.admit(at, from(1), &message) {
                Admission::Cookie(reply) if own => honest.take_cookie(at, &reply),
                _ => false,
            }
        });
        assert!(answered.is_some(), "asked {asked} times");
        let later = now + Duration::from_secs(2);
        let message = stamped(&mut honest, later);
        assert!(!guard.sheds(later, from(1), &message));
        assert_eq!(guard.admit(later, from(1), &message), GRANTED, "in the midst of the flood");
    }

    #[test]
    fn all_sources_together_get_so_many_cookies() {
        let now = Instant::now();
        let (_, guard, mut macs) = guarded(now);
        let message = stamped(&mut macs, now);
        let made_up = |nth: u32| SocketAddr::from((nth.to_be_bytes(), 51_820));
        let ask = |at, nth| {
            let shed = guard.sheds(at, made_up(nth), &message);
            let admission = guard.admit(at, made_up(nth), &message);
            assert!(!shed || admission == Admission::TooMany, "nothing would have come of it");
            matches!(admission, Admission::Cookie(_))
        };
        (0..=LIMIT).for_each(|nth| _ = ask(now, nth));
        for second in 1..3 {
            let later = now + Duration::from_secs(second);
            let count = (0..2 * u32::from(COOKIES_A_SECOND)).filter(|nth| ask(later, *nth)).count();
            assert_eq!(count, usize::from(COOKIES_A_SECOND));
        }
    }

    #[test]
    fn what_could_only_be_refused_is_shed_and_nothing_else() {
        let now = Instant::now();
        let (_, guard, mut flood) = guarded(now);
        let message = stamped(&mut flood, now);
        for _ in 0..LIMIT {
            assert!(!guard.sheds(now, from(1), &message), "as many as may come");
            assert_eq!(guard.admit(now, from(1), &message), GRANTED);
        }
        for _ in 0..MOST {
            assert!(!guard.sheds(now, from(1), &message), "a cookie is left");
            assert!(matches!(guard.admit(now, from(1), &message), Admission::Cookie(_)));
        }
        assert!(guard.sheds(now, from(1), &message));
        assert_eq!(guard.admit(now, from(1), &message), Admission::TooMany, "nothing would have come of it");
        assert!(!guard.sheds(now, from(2), &message), "another's cookies");
        let mut with_cookie = message;
        with_cookie[INITIATION - 1] = 1;
        assert!(!guard.sheds(now, from(1), &with_cookie), "it may have a good one");

        // What is shed counts: no more than the cookies of a second are looked at as long as the flood lasts.
        let mut looked_at = 0;
        for second in 1..5 {
            let later = now + Duration::from_secs(second);
            for _ in 0..MOST + 1_000 {
                if !guard.sheds(later, from(1), &message) {
                    assert!(matches!(guard.admit(later, from(1), &message), Admission::Cookie(_)));
                    looked_at += 1;
                }
            }
        }
        assert_eq!(looked_at, 4 * MOST);
        let calm = now + Duration::from_secs(7);
        assert!(!guard.sheds(calm, from(1), &message));
        assert_eq!(guard.admit(calm, from(1), &message), GRANTED);
    }

    #[test]
    fn cookies_of_many_sources_never_grant_more_than_the_limit() {
        let now = Instant::now();
        let (key, guard, mut macs) = guarded(now);
        for _ in 0..=LIMIT {
            guard.admit(now, from(1), &stamped(&mut macs, now));
        }
        let later = now + Duration::from_secs(1);
        let mut granted = 0;
        for host in 0..=255 {
            let mut honest = PeerMacs::new(&key);
            if let Admission::Cookie(reply) = guard.admit(later, from(host), &stamped(&mut honest, later)) {
                honest.take_cookie(later, &reply);
            }
            granted += u32::from(guard.admit(later, from(host), &stamped(&mut honest, later)) == GRANTED);
        }
        assert_eq!(granted, LIMIT);
    }

    #[test]
    fn the_flood_ends_and_nobody_needs_a_cookie() {
        let now = Instant::now();
        let (_, guard, mut macs) = guarded(now);
        for _ in 0..1_000 {
            guard.admit(now, from(1), &stamped(&mut macs, now));
        }
        let later = now + Duration::from_secs(3);
        assert_eq!(guard.admit(later, from(1), &stamped(&mut macs, later)), GRANTED);
    }

    #[test]
    fn known_sources_are_bounded_and_forgotten_when_they_rest() {
        let now = Instant::now();
        let (_, guard, _) = guarded(now);
        let mut load = guard.load.lock();
        for network in 0..HANDSHAKE_SOURCES as u64 {
            assert!(load.allow(now, Source(network, false)));
        }
        assert!(!load.allow(now, Source(u64::MAX, false)));
        assert!(load.allow(now + Duration::from_secs(60), Source(u64::MAX, false)));
        assert_eq!(load.sources.len(), 1);
    }

    #[test]
    fn two_keys_are_guarded_as_one_and_a_cookie_is_good_for_both() {
        let now = Instant::now();
        let (present, guard, mut macs) = guarded(now);
        let next = PrivateKey::generate().public_key();
        let mut to_next = PeerMacs::new(&next);
        assert_eq!(guard.admit(now, from(1), &stamped(&mut to_next, now)), Admission::WrongMac);
        let guard = guard.to(&present, Some(&next));
        assert_eq!(guard.admit(now, from(1), &stamped(&mut macs, now)), GRANTED);
        let other = Admission::Granted(Addressed::Other);
        assert_eq!(guard.admit(now, from(1), &stamped(&mut to_next, now)), other);

        // A flood on the one is a flood on the other, also after they changed places.
        for _ in 0..LIMIT {
            guard.admit(now, from(1), &stamped(&mut macs, now));
        }
        let Admission::Cookie(reply) = guard.admit(now, from(2), &stamped(&mut to_next, now)) else {
            panic!("no cookie")
        };
        assert!(to_next.take_cookie(now, &reply), "sealed to whom the message was addressed");
        let guard = guard.to(&next, Some(&present));
        let later = now + Duration::from_secs(1);
        assert_eq!(guard.admit(later, from(2), &stamped(&mut to_next, later)), GRANTED);
        let guard = guard.to(&next, None);
        assert_eq!(guard.admit(later, from(1), &stamped(&mut macs, later)), Admission::WrongMac);
    }
}
