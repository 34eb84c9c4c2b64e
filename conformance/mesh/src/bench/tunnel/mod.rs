//! `bench tunnel`: the userspace WireGuard of this project and those of others, in one run, in fresh namespaces.

mod bed;
pub(super) mod device;
mod echo;
mod figure;
mod flood;
pub mod inside;
mod large;
mod packets;
mod plot;
mod sealing;
mod sheet;
pub(super) mod stream;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use self::bed::Bed;
use self::device::Device;
use self::echo::Echoes;
use self::figure::{FIGURES, OURS, PEERS, SEALING};
use self::flood::Flood;
use crate::bench::machine_kind::machine;
use crate::bench::results::Results;
use crate::bench::{finish, report};
use crate::interrupt;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// One JSON document instead of a table.
    pub json: bool,
    /// One short round: whether everything can be measured, not how much it is.
    pub quick: bool,
    /// Writes the sheet and its plot into the tunnel's crate.
    pub sheet: bool,
}

impl Options {
    fn pace(self) -> &'static Pace {
        if self.quick { &QUICK } else { &WHOLE }
    }
}

/// How long and how often is measured.
struct Pace {
    /// Rounds over all devices, in turn.
    rounds: usize,
    /// Of these, how many with a flood, which is the longest measurement.
    flood_rounds: usize,
    /// Rounds with four million peers.
    large_rounds: usize,
    stream_seconds: u32,
    echoes: Echoes,
    packets_millis: u32,
    flood: Flood,
    idle: Duration,
}

/// Some twenty minutes, and more where a peer does not answer.
const WHOLE: Pace = Pace {
    rounds: 3,
    flood_rounds: 1,
    large_rounds: 1,
    stream_seconds: 4,
    echoes: Echoes { times: 3, millis: 2_000 },
    packets_millis: 800,
    // A million in all while four streams run.
    flood: Flood { rate: 50_000, different: 5_000, seconds: 5 },
    idle: Duration::from_secs(30),
};

/// Some two minutes.
const QUICK: Pace = Pace {
    rounds: 1,
    flood_rounds: 1,
    large_rounds: 1,
    stream_seconds: 2,
    echoes: Echoes { times: 1, millis: 800 },
    packets_millis: 400,
    flood: Flood { rate: 20_000, different: 500, seconds: 1 },
    idle: Duration::from_secs(10),
};

/// Measures, and prints what it found. 0: ours could be measured.
pub fn main(options: Options) -> ExitCode {
    finish(|| show(&measure(options)?, options))
}

fn measure(options: Options) -> Result<Results> {
    let pace = options.pace();
    let mut results = Results::default();
    let (others, left_out) = Device::others();
    left_out.into_iter().for_each(|why| results.leave_out(why));
    let mut devices = vec![Device::ours()?];
    devices.extend(others);
    for round in 1..=pace.rounds {
        floor(&mut results)?;
        for device in &devices {
            eprintln!("round {round} of {}: {}", pace.rounds, device.name);
            compare(device, pace, &mut results)?;
            if round <= pace.flood_rounds {
                // A bed of its own: a flood may leave a device in a state that no other figure should see.
                note(device.name, "flood", &mut results, |results| flood::measure(device, pace.flood, results))?;
            }
        }
    }
    eprintln!("4,194,302 known peers");
    note(OURS, "4,194,302 known peers", &mut results, |results| large::measure(pace.large_rounds, pace.idle, results))?;
    Ok(results)
}

/// The floor, beside each of the figures that it is the floor of.
fn floor(results: &mut Results) -> Result<()> {
    let floor = sealing::measure(0.5)?;
    results.add(figure::CPU_SENDER, SEALING, floor);
    results.add(figure::CPU_RECEIVER, SEALING, floor);
    Ok(())
}

/// All figures of one device but the flood's.
///
/// What cannot be measured is left out with the reason; only a device of ours that does not even start, or a signal to
/// end, is an error.
fn compare(device: &Device, pace: &Pace, results: &mut Results) -> Result<()> {
    let name = device.name;
    let bed = match Bed::new(device) {
        Err(error) if name == OURS => return Err(error).context("ours cannot be measured"),
        Err(error) => {
            interrupt::check()?;
            results.leave_out(format!("{name}: {error:#}"));
            return Ok(());
        }
        Ok(bed) => bed,
    };
    note(name, "idle echo", results, |results| echo::measure_idle(&bed, name, pace.echoes, results))?;
    note(name, "streams", results, |results| stream::measure(&bed, name, pace.stream_seconds, results))?;
    note(name, "small packets", results, |results| packets::measure(&bed, name, pace.packets_millis, results))?;
    note(name, "loaded echo", results, |results| echo::measure_loaded(&bed, name, pace.echoes, results))
}

/// Measures, and notes why that cannot be. An error is a signal to end.
fn note(
    device: &str,
    what: &str,
    results: &mut Results,
    measure: impl FnOnce(&mut Results) -> Result<()>,
) -> Result<()> {
    let outcome = measure(results);
    interrupt::check()?;
    if let Err(error) = outcome {
        results.leave_out(format!("{device}, {what}: {error:#}"));
    }
    Ok(())
}

fn show(results: &Results, options: Options) -> Result<()> {
    let rows = report::rows(&FIGURES, &PEERS, results);
    if options.json {
        println!("{}", json!({ "machine": machine(), "rows": rows, "left_out": results.left_out() }));
    } else {
        print!("{}", report::table(&rows));
    }
    if options.sheet {
        sheet::write(&rows, results, options.pace())?;
    }
    Ok(())
}
