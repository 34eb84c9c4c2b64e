//! A flood of handshake initiations from keys that nobody knows, while a TCP stream runs.
//!
//! The same flood goes to a port where nobody listens for comparison: what the flood itself takes of the machine is no
//! device's fault. Both take turns, so that a machine that is slower for a while is so for both.
//!
//! What a device takes for good when it first meets a flood is told apart from what grows with it.

use anyhow::{Result, bail, ensure};

use super::bed::Bed;
use super::device::{Device, PORT};
use super::echo::number;
use super::figure::{FLOOD_BUFFERS, FLOOD_GROWTH, FLOOD_RATE, FLOOD_SHARE};
use super::inside::Helper;
use super::stream::{Way, stream};
use crate::bench::process::resident_kib;
use crate::bench::results::Results;

/// A port that nobody listens on.
const NOBODY: u16 = 9;

/// Streams under each of the two floods.
const TURNS: u32 = 4;

/// The flood, as the bench asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flood {
    /// Initiations a second.
    pub(super) rate: u32,
    /// Initiations that are made beforehand and sent in turn.
    pub(super) different: u32,
    /// Seconds of one stream meanwhile.
    pub(super) seconds: u32,
}

pub(super) fn measure(device: &Device, flood: Flood, results: &mut Results) -> Result<()> {
    let bed = Bed::new(device)?;
    let victim = bed.two.daemon.pid();
    let (mut beside, mut kept, mut rates) = (0.0, 0.0, 0.0);
    // Before the flood, and after each turn.
    let mut resident = Vec::new();
    for _ in 0..TURNS {
        beside += under(&bed, NOBODY, flood)?.0;
        if resident.is_empty() {
            resident.push(resident_kib(victim)?);
        }
        let (gigabits, rate) = under(&bed, PORT, flood)?;
        resident.push(resident_kib(victim)?);
        (kept, rates) = (kept + gigabits, rates + rate);
    }
    let grew = |from: f64, to: f64| (to - from).max(0.0) / 1_000.0 * 1.024;
    results.add(FLOOD_SHARE, device.name, kept / beside);
    results.add(FLOOD_RATE, device.name, rates / f64::from(TURNS));
    let [before, first, .., last] = resident[..] else { bail!("a flood of fewer than two turns") };
    results.add(FLOOD_BUFFERS, device.name, grew(before, first));
    results.add(FLOOD_GROWTH, device.name, grew(first, last));
    Ok(())
}

/// Gbit/s of the stream, and initiations a second that were sent.
fn under(bed: &Bed, port: u16, flood: Flood) -> Result<(f64, f64)> {
    let target = format!("{}:{port}", bed.machine_two.address());
    let (rate, different) = (flood.rate.to_string(), flood.different.to_string());
    let arguments = ["flood", &target, bed.two.public_key(), &rate, &different];
    let mut flooder = Helper::start(&bed.stranger, &arguments)?;
    let stream = stream(&bed.machine_one, &bed.machine_two, bed.two.address, flood.seconds, Way::There)?;
    let sent = flooder.ask("stop")?;
    ensure!(number(&sent, "sent")? > 0.0, "the flood sent nothing");
    Ok((stream.gigabits_a_second(), number(&sent, "rate")?))
}
