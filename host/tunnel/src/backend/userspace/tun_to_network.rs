//! The thread from the interface to the network.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::backlog::{Backlog, Waiting};
use super::{Lane, segments, wait};
use crate::device::packets::mark_congestion;
use crate::device::{DatagramBatch, Packets as _};
use crate::limits::{
    BATCHES_IN_A_ROW, CALLS_OF_ONE_FLOW, CLOSE_WAKES, GATHER, LINK_DOWN_WAIT, SETTINGS_LOOK, TAKE_IN_BYTES,
};
use crate::offload::Whole;

/// Runs until the stop signal, or until the interface is gone.
pub(super) fn run(lane: &Lane) {
    super::go_first();
    let (mut backlog, mut out) = (Backlog::default(), DatagramBatch::default());
    let (mut settings, mut pace) = (SettingsWatch::default(), Pace::default());
    while pump(lane, &mut settings, &mut pace, &mut backlog, &mut out).is_continue() {}
}

/// Takes what the interface has until there is no more, or others want their turn, sends it, and waits for the next.
fn pump(
    lane: &Lane,
    settings: &mut SettingsWatch,
    pace: &mut Pace,
    backlog: &mut Backlog,
    out: &mut DatagramBatch,
) -> ControlFlow<()> {
    let mut outcome = Ok(());
    let (mut full, mut sealed, mut is_lone) = (0, 0, backlog.is_empty() && !pace.is_busy());
    let mut has_company = false;
    while full < BATCHES_IN_A_ROW {
        if backlog.is_empty() || sealed >= TAKE_IN_BYTES {
            sealed = 0;
            outcome = take_in(lane, backlog, if is_lone { 1 } else { usize::MAX });
        }
        has_company |= !backlog.is_one_flow();
        let now = Instant::now();
        let Some(mut waiting) = backlog.next(now) else { break };
        sealed += waiting.len();
        if out.is_empty() {
            settings.look(lane);
        }
        take(lane, now, &mut waiting, out);
        backlog.give_back(waiting);
        if std::mem::take(&mut is_lone) && out.len() == 1 {
            // The next is waited for at once: whom this one wakes may want this processor.
            outcome = Err(io::ErrorKind::WouldBlock.into());
            break;
        }
        if out.fills(if backlog.is_one_flow() { CALLS_OF_ONE_FLOW } else { 1 }) {
            // Where segments of one read are a few more than one call may send, those wait for the next.
            lane.send_full_runs(out);
            full += 1;
            if std::mem::take(&mut has_company) {
                let_others_go();
            }
        }
    }
    if full == BATCHES_IN_A_ROW {
        outcome = Ok(());
    }
    lane.send(out);
    out.clear();
    lane.wake_timers();
    match outcome {
        Ok(()) if lane.stop.was_raised() => ControlFlow::Break(()),
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            if super::would_block(&error)
                && let Some(rest) = pace.gathering(Instant::now())
            {
                pause(rest);
                return ControlFlow::Continue(());
            }
            let flow = wait_after(lane, settings, &error);
            pace.woke(Instant::now());
            flow
        }
    }
}

/// How often the thread wakes. It goes before the programs that write packets: of one that writes many, it would be woken
/// for each, and seal and send them one by one. When wakes follow each other so closely, it lets some packets gather.
#[derive(Default)]
struct Pace {
    /// The last wake, and the one before it.
    woke: Option<Instant>,
    before: Option<Instant>,
}

impl Pace {
    fn woke(&mut self, now: Instant) {
        self.before = self.woke.replace(now);
    }

    /// What is left of the time in which packets gather; none if the next is to be waited for.
    fn gathering(&self, now: Instant) -> Option<Duration> {
        let rest = GATHER.saturating_sub(now.duration_since(self.woke?));
        (self.is_busy() && !rest.is_zero()).then_some(rest)
    }

    /// Whether the last wake followed the one before so closely that packets might gather.
    fn is_busy(&self) -> bool {
        self.woke.zip(self.before).is_some_and(|(woke, before)| woke.duration_since(before) < CLOSE_WAKES)
    }
}

/// Lets packets gather. Nothing is waited for that could tell: the wake that it would bring is what is saved.
#[allow(clippy::disallowed_methods, reason = "moderation of wakes, as a network card's of interrupts; no protocol")]
fn pause(rest: Duration) {
    std::thread::sleep(rest);
}

/// Lets the other threads that move packets have their turn. One that a packet just sent has woken on this processor, on
/// this machine or in another's namespace, would wait until there is nothing more to seal, be it that another processor
/// stands idle meanwhile: what ran just now is not moved there. Where two cores carried both ends of a stream, packets
/// beside it came in three quarters of the time (p99), and the stream's ends had no more work, but the typical one took half
/// as long again. With a turn for others after each full batch, company or not, p99 was less than half, the receiver had a
/// quarter more work, and the stream was a tenth slower.
fn let_others_go() {
    std::thread::yield_now();
}

/// Follows what somebody else sets: before the first packet after the interface came up, and now and then among packets.
/// An interface at rest is not looked at.
#[derive(Default)]
struct SettingsWatch {
    looked: Option<Instant>,
}

impl SettingsWatch {
    fn look(&mut self, lane: &Lane) {
        // That of a managed one is set by ourselves.
        let (follows_mtu, is_limited) = (lane.device.is_configurable(), lane.is_limited.load(Relaxed));
        if !(follows_mtu || is_limited) || self.looked.is_some_and(|looked| looked.elapsed() < SETTINGS_LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        // One that was moved to another namespace keeps what it had. If here another has its name, that gets what it had
        // of its own.
        if follows_mtu && let Ok(mtu) = lane.queue.mtu() {
            lane.device.set_mtu(mtu);
        }
        if is_limited {
            match lane.queue.interface().and_then(|interface| segments::still_limited(&interface)) {
                Ok(is_limited) => lane.is_limited.store(is_limited, Relaxed),
                Err(error) => tracing::debug!(%error, "the kernel goes on leaving few segments together"),
            }
        }
    }
}

/// Takes up to `most` packets of the interface into the backlog. An error, be it that there are no more, says nothing of
/// those that were taken.
fn take_in(lane: &Lane, backlog: &mut Backlog, most: usize) -> io::Result<()> {
    let (counters, now) = (lane.device.live_counters(), Instant::now());
    for _ in 0..most {
        if !backlog.has_room() {
            break;
        }
        backlog.read(now, |room| lane.queue.read(room))?;
        counters.tun_reads.one();
        while let Some(mut shed) = backlog.shed() {
            let (header, packet) = shed.parts();
            counters.drops.backlog_full.add(Whole::read(header, packet).map_or(1, |whole| whole.count() as u64));
            backlog.give_back(shed);
        }
    }
    Ok(())
}

/// Hands what was read to the device. Of one that comes late the sender hears: by a mark, or by the loss of its first
/// segment.
fn take(lane: &Lane, now: Instant, waiting: &mut Waiting, out: &mut DatagramBatch) {
    let counters = lane.device.live_counters();
    let is_late = waiting.is_late;
    let (header, packet) = waiting.parts();
    let is_marked = is_late && mark_congestion(packet);
    let Some(mut whole) = Whole::read(header, packet) else { return counters.drops.no_ip.one() };
    if is_marked {
        counters.congestion_marked.one();
    } else if is_late {
        counters.drops.waited_too_long.one();
        whole.leave_out_first();
    }
    if whole.count() > 0 {
        lane.device.handle_packets(now, &whole, out);
    }
}

fn wait_after(lane: &Lane, settings: &mut SettingsWatch, error: &io::Error) -> ControlFlow<()> {
    let stop = (lane.stop.as_fd(), PollFlags::POLLIN);
    let stopped = match error.raw_os_error().map(Errno::from_raw) {
        _ if super::would_block(error) => wait([(lane.queue.as_fd(), PollFlags::POLLIN), stop], None)[1],
        // Down: nothing can be read until somebody brings it up again.
        Some(Errno::EIO) => {
            settings.looked = None;
            wait([stop], Some(LINK_DOWN_WAIT))[0]
        }
        Some(Errno::EBADFD) => {
            tracing::error!(
                "the interface was deleted by somebody else: the tunnel stands still until it is restarted"
            );
            lane.gone.raise();
            true
        }
        _ => {
            lane.device.live_counters().drops.tun_read_failed.one();
            tracing::debug!(%error, "a packet of the interface could not be read");
            lane.stop.was_raised()
        }
    };
    if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_gather_once_a_wake_and_only_where_wakes_are_close() {
        let start = Instant::now();
        let micros = |micros| start + Duration::from_micros(micros);
        let mut pace = Pace::default();
        assert_eq!(pace.gathering(start), None);
        pace.woke(start);
        assert_eq!(pace.gathering(start), None, "one wake says nothing");
        pace.woke(micros(74));
        assert_eq!(pace.gathering(micros(84)), Some(Duration::from_micros(40)));
        assert_eq!(pace.gathering(micros(124)), None, "the time is over: the next is waited for");
        pace.woke(micros(74 + 75));
        assert_eq!(pace.gathering(micros(149)), None, "an answer a round trip later is not kept waiting");
    }
}
