//! Small UDP packets a second without loss: the rate is doubled until packets are lost, then halved in on.

use anyhow::{Result, ensure};

use super::bed::Bed;
use super::echo::number;
use super::figure::PACKETS;
use super::inside::Helper;
use crate::bench::results::Results;

/// Share of packets that may be lost.
const LOSS: f64 = 0.001;

/// Where the search begins, packets a second.
const FIRST_RATE: f64 = 10_000.0;

/// Above this rate the sender is what is measured. Where it falls behind, the rate that it kept counts.
const LAST_RATE: f64 = 3e6;

/// Halvings between the last rate without loss and the first with it: within 3 %.
const HALVINGS: usize = 5;

/// Tries before a rate counts as lossy: other programs of this machine lose packets too.
const TRIES: usize = 2;

/// Each run has a port of its own, so that stragglers of the run before are not counted.
const FIRST_PORT: u16 = 20_000;

pub(super) fn measure(bed: &Bed, device: &'static str, millis: u32, results: &mut Results) -> Result<()> {
    let mut port = FIRST_PORT;
    let mut best = 0.0_f64;
    // The highest rate asked that held, and the lowest that did not.
    let (mut held, mut lost) = (0.0, FIRST_RATE);
    let mut holds = |rate: f64| -> Result<bool> {
        for _ in 0..TRIES {
            port += 1;
            let run = run(bed, port, rate, millis)?;
            if run.received >= run.sent * (1.0 - LOSS) {
                best = best.max(run.rate);
                return Ok(true);
            }
        }
        Ok(false)
    };
    while lost < LAST_RATE && holds(lost)? {
        (held, lost) = (lost, lost * 2.0);
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(held, lost);
        if holds(middle)? { held = middle } else { lost = middle }
    }
    ensure!(best > 0.0, "no rate without loss was found, down to {lost:.0} packets a second");
    results.add(PACKETS, device, best);
    Ok(())
}

struct Run {
    sent: f64,
    received: f64,
    /// Packets a second that were really sent.
    rate: f64,
}

fn run(bed: &Bed, port: u16, rate: f64, millis: u32) -> Result<Run> {
    let mut counter = Helper::start(&bed.machine_two, &["count", &port.to_string()])?;
    let address = format!("{}:{port}", bed.two.address);
    let mut sender = Helper::launch(&bed.machine_one, &["send", &address, &rate.to_string(), &millis.to_string()])?;
    let sent = sender.answer()?;
    let counted = counter.answer()?;
    Ok(Run { sent: number(&sent, "sent")?, received: number(&counted, "received")?, rate: number(&sent, "rate")? })
}
