//! When a session must do something, by the rules of the WireGuard paper (§6). Pure: times in, decisions out.

use std::time::{Duration, Instant};

use servos_mesh::Link;

use super::FOR_EVER;
use crate::limits::{
    IN_USE, KEEPALIVE_TIMEOUT, LINK_DOWN_AFTER, REJECT_AFTER_TIME, REKEY_AFTER_MESSAGES, REKEY_AFTER_TIME,
    REKEY_ATTEMPT_TIME, REKEY_JITTER, REKEY_TIMEOUT, ROTATED_KEY_SPREAD,
};
use crate::noise::Keypair;

/// Data sent and nothing heard for so long: something is wrong (§6.5).
const ANSWER_TIMEOUT: Duration = KEEPALIVE_TIMEOUT.saturating_add(REKEY_TIMEOUT);

/// What a session must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Send an initiation, the first or again.
    Initiate,
    /// Begin a handshake, since the peer has another key, or keys of a process that is gone.
    Rekey,
    /// Give up the handshake and what waits for it.
    GiveUp,
    /// Send an empty packet.
    Keepalive,
    /// Send an empty packet, or begin a handshake, because nothing was sent for the interval that was asked for.
    KeepAlive,
    /// End: nobody has used it for long.
    End,
}

#[derive(Debug)]
pub(super) struct SessionTimers {
    idle_after: Duration,
    last_used: Instant,
    last_heard: Option<Instant>,
    handshake: Option<Attempt>,
    /// The peer's key is of no use: until then no handshake is begun.
    barred_until: Option<Instant>,
    /// The peer rotated its key, or has keys of a process that is gone: when the next handshake is begun.
    rekey_at: Option<Instant>,
    /// The first data sent that nothing was heard after.
    unanswered_since: Option<Instant>,
    /// The first data received that nothing was sent after.
    reply_owed_since: Option<Instant>,
    /// Interval of persistent keepalives, and when the next is due.
    keepalive: Option<(Duration, Instant)>,
    /// The peer did not answer when it should have.
    silent: bool,
    /// Earliest deadline that was armed and not yet taken.
    armed: Option<Instant>,
}

/// A handshake that we began.
#[derive(Debug)]
struct Attempt {
    /// Nothing was heard since.
    quiet_since: Instant,
    last_sent: Instant,
    retry_at: Instant,
    gives_up: Instant,
    tries: u32,
}

impl SessionTimers {
    /// The idle timer is armed from the start: a session whose handshake never completes ends like any other.
    pub(super) fn new(now: Instant, idle_after: Duration, keepalive: Option<Duration>) -> Self {
        let mut timers = Self {
            keepalive: keepalive.map(|interval| (interval, now + interval)),
            idle_after,
            last_used: now,
            last_heard: None,
            handshake: None,
            barred_until: None,
            rekey_at: None,
            unanswered_since: None,
            reply_owed_since: None,
            silent: false,
            armed: None,
        };
        timers.arm_next(now, None);
        timers
    }

    /// Sends something every so often from now on, or not any more.
    pub(super) fn set_keepalive(&mut self, now: Instant, interval: Option<Duration>) {
        self.keepalive = interval.map(|interval| (interval, now + interval));
        if let Some(interval) = interval {
            self.arm(now + interval);
        }
    }

    /// All that was agreed is void.
    pub(super) fn on_forgotten(&mut self) {
        self.handshake = None;
        self.unanswered_since = None;
        self.reply_owed_since = None;
    }

    /// Something authentic passed, either way.
    fn on_passed(&mut self, now: Instant) {
        // The due time moves without being armed: when it comes up early, it is found not to be due yet.
        if let Some((interval, due)) = &mut self.keepalive {
            *due = now + *interval;
        }
    }

    /// Data was asked to be sent.
    pub(super) fn on_wanted(&mut self, now: Instant) {
        self.last_used = now;
        if let Some(attempt) = &mut self.handshake {
            attempt.gives_up = now + REKEY_ATTEMPT_TIME;
        }
    }

    /// Data was sent.
    pub(super) fn on_data_sent(&mut self, now: Instant) {
        self.on_passed(now);
        self.last_used = now;
        self.reply_owed_since = None;
        if self.unanswered_since.is_none() {
            self.unanswered_since = Some(now);
            self.arm(now + ANSWER_TIMEOUT);
        }
    }

    /// An empty packet or a handshake message that answers was sent.
    pub(super) fn on_answer_sent(&mut self, now: Instant) {
        self.on_passed(now);
        self.reply_owed_since = None;
    }

    /// Something authentic was received; `data` if it was more than empty.
    pub(super) fn on_heard(&mut self, now: Instant, data: bool) {
        self.on_passed(now);
        self.last_heard = Some(now);
        self.unanswered_since = None;
        self.silent = false;
        if let Some(attempt) = &mut self.handshake {
            attempt.quiet_since = now;
        }
        if data {
            self.last_used = now;
            if self.reply_owed_since.is_none() {
                self.reply_owed_since = Some(now);
                self.arm(now + KEEPALIVE_TIMEOUT);
            }
        }
    }

    /// The peer has another key. `jitter` is between 0 and 1: its peers do not all begin at once.
    pub(super) fn on_key_rotated(&mut self, now: Instant, jitter: f64) {
        let due = now + ROTATED_KEY_SPREAD.mul_f64(jitter);
        self.rekey_at = Some(due);
        self.barred_until = None;
        self.arm(due);
    }

    /// A handshake is begun at `due`, unless there is one before.
    pub(super) fn on_resumed(&mut self, due: Instant) {
        self.rekey_at = Some(due);
        self.arm(due);
    }

    /// An initiation was sent; it is sent again after `patience`. `jitter` is between 0 and 1.
    pub(super) fn on_initiation_sent(&mut self, now: Instant, patience: Duration, jitter: f64) {
        self.rekey_at = None;
        let retry_at = now + patience + REKEY_JITTER.mul_f64(jitter);
        match &mut self.handshake {
            Some(attempt) => {
                attempt.last_sent = now;
                attempt.retry_at = retry_at;
                attempt.tries += 1;
            }
            None => {
                let gives_up = now + REKEY_ATTEMPT_TIME;
                self.handshake = Some(Attempt { quiet_since: now, last_sent: now, retry_at, gives_up, tries: 1 });
                self.arm(now + LINK_DOWN_AFTER);
            }
        }
        self.arm(retry_at);
    }

    /// No initiation could be sent.
    pub(super) fn on_not_initiated(&mut self) {
        self.handshake = None;
    }

    /// The peer's key is of no use: no handshake is begun for as long as one is waited for.
    pub(super) fn bar(&mut self, now: Instant) {
        self.barred_until = Some(now + REKEY_TIMEOUT);
    }

    /// Whether no handshake is to be begun.
    pub(super) fn is_barred(&self, now: Instant) -> bool {
        self.barred_until.is_some_and(|until| now < until)
    }

    /// A keypair was agreed. Returns the round trip if our initiation was answered.
    pub(super) fn on_handshake(&mut self, now: Instant, initiator: bool) -> Option<Duration> {
        self.last_used = now;
        self.rekey_at = None;
        self.arm(now + REJECT_AFTER_TIME);
        if !initiator {
            return None;
        }
        let attempt = self.handshake.take()?;
        Some(now.saturating_duration_since(attempt.last_sent))
    }

    /// A keypair that the peer began has been confirmed: what we began in parallel is not needed.
    pub(super) fn on_confirmed(&mut self) {
        self.handshake = None;
    }

    /// Whether our initiation awaits its response.
    pub(super) fn is_initiating(&self) -> bool {
        self.handshake.is_some()
    }

    /// How often the present initiation has been sent.
    pub(super) fn tries(&self) -> u32 {
        self.handshake.as_ref().map_or(0, |attempt| attempt.tries)
    }

    /// Whether a keypair is so old, or so much used, that sending with it calls for the next.
    pub(super) fn wants_rekey_on_send(&self, now: Instant, keypair: &Keypair) -> bool {
        let old = keypair.initiator && keypair.age(now) >= REKEY_AFTER_TIME;
        (old || keypair.sealed() >= REKEY_AFTER_MESSAGES) && !self.is_initiating()
    }

    /// Whether a keypair is so old that it would die before the next chance to renew it.
    pub(super) fn wants_rekey_on_receive(&self, now: Instant, keypair: &Keypair) -> bool {
        let late = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
        keypair.initiator && keypair.age(now) >= late && !self.is_initiating()
    }

    /// What is due; to be asked again until there is nothing.
    pub(super) fn due(&mut self, now: Instant) -> Option<Duty> {
        if self.ends_at() <= now && self.keepalive.is_none() {
            return Some(Duty::End);
        }
        if self.handshake.as_ref().is_some_and(|attempt| attempt.quiet_since + LINK_DOWN_AFTER <= now) {
            self.silent = true;
        }
        if let Some(attempt) = self.handshake.as_ref().filter(|attempt| attempt.retry_at <= now) {
            if attempt.gives_up > now {
                return Some(Duty::Initiate);
            }
            self.handshake = None;
            self.silent = true;
            return Some(Duty::GiveUp);
        }
        if self.rekey_at.take_if(|due| *due <= now).is_some() {
            // One that rests gets there when it is used again, or ends.
            let in_use = now.saturating_duration_since(self.last_used) < IN_USE;
            if in_use && !self.is_initiating() {
                return Some(Duty::Rekey);
            }
        }
        if self.unanswered_since.is_some_and(|since| since + ANSWER_TIMEOUT <= now) {
            self.unanswered_since = None;
            self.silent = true;
            if !self.is_initiating() {
                return Some(Duty::Initiate);
            }
        }
        if self.reply_owed_since.is_some_and(|since| since + KEEPALIVE_TIMEOUT <= now) {
            self.reply_owed_since = None;
            return Some(Duty::Keepalive);
        }
        if let Some((interval, due)) = &mut self.keepalive
            && *due <= now
        {
            *due = now + *interval;
            return Some(Duty::KeepAlive);
        }
        None
    }

    /// Arms for what is due next, if nothing happens meanwhile. `dies` is when the newest keypair does.
    pub(super) fn arm_next(&mut self, now: Instant, dies: Option<Instant>) {
        let attempt = self.handshake.as_ref();
        let down = attempt.map(|attempt| attempt.quiet_since + LINK_DOWN_AFTER).filter(|_| !self.silent);
        let candidates = [
            attempt.map(|attempt| attempt.retry_at),
            down,
            self.rekey_at,
            self.unanswered_since.map(|since| since + ANSWER_TIMEOUT),
            self.reply_owed_since.map(|since| since + KEEPALIVE_TIMEOUT),
            dies.filter(|dies| *dies > now),
            self.keepalive.map(|(_, due)| due),
        ];
        self.armed = candidates.into_iter().flatten().chain(self.end_to_wait_for()).min();
    }

    /// When data was last asked for, or a handshake completed.
    pub(super) fn last_used(&self) -> Instant {
        self.last_used
    }

    /// When the session ends, if nobody uses it.
    pub(super) fn ends_at(&self) -> Instant {
        self.last_used + self.idle_after
    }

    /// When the session ends, unless no machine runs so long. An entry of the due queue that never comes up would stay there
    /// each time that something else became due earlier.
    fn end_to_wait_for(&self) -> Option<Instant> {
        (self.idle_after < FOR_EVER / 2).then(|| self.ends_at())
    }

    /// The way to the peer. `dies` is when the newest keypair does.
    pub(super) fn link(&self, now: Instant, dies: Option<Instant>) -> Link {
        if self.silent {
            return Link::Down;
        }
        if dies.is_some_and(|dies| dies > now) { Link::Up } else { Link::Idle }
    }

    /// Whether something authentic was received within `time`.
    pub(super) fn was_heard_within(&self, now: Instant, time: Duration) -> bool {
        self.last_heard.is_some_and(|heard| now.saturating_duration_since(heard) < time)
    }

    /// The earliest deadline that was armed since this was asked last.
    pub(super) fn take_armed(&mut self) -> Option<Instant> {
        self.armed.take()
    }

    fn arm(&mut self, due: Instant) {
        self.armed = Some(self.armed.map_or(due, |armed| armed.min(due)));
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::noise::SessionKeys;

    #[test]
    fn a_keypair_is_renewed_by_its_initiator_when_old_and_by_either_when_much_used() {
        let now = Instant::now();
        let keypair = |initiator| {
            let key = || Zeroizing::new([1; 32]);
            Keypair::new(now, 1, initiator, &SessionKeys { sealing: key(), opening: key(), peer_index: 2 })
        };
        let wants = |keypair: &Keypair, age: Duration| {
            SessionTimers::new(now, REJECT_AFTER_TIME, None).wants_rekey_on_send(now + age, keypair)
        };
        let young = REKEY_AFTER_TIME - Duration::from_nanos(1);
        for initiator in [true, false] {
            let keypair = keypair(initiator);
            assert!(!wants(&keypair, young));
            assert_eq!(wants(&keypair, REKEY_AFTER_TIME), initiator);
            keypair.reserve(REKEY_AFTER_MESSAGES - 1).expect("few");
            assert!(!wants(&keypair, young));
            keypair.reserve(1).expect("few");
            assert!(wants(&keypair, young), "initiator: {initiator}");
        }
        let mut timers = SessionTimers::new(now, REJECT_AFTER_TIME, None);
        timers.on_initiation_sent(now, REKEY_TIMEOUT, 0.0);
        assert!(!timers.wants_rekey_on_send(now + REKEY_AFTER_TIME, &keypair(true)), "one handshake at a time");
    }
}
