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
    /// Rounds with four million peers.
    large_rounds: usize,
    stream_seconds: u32,
    echoes: Echoes,
    packets_millis: u32,
    flood: Flood,
    idle: Duration,
}

/// Some half an hour, and more where a peer does not answer.
const WHOLE: Pace = Pace {
    rounds: 3,
    large_rounds: 1,
    stream_seconds: 4,
    echoes: Echoes { times: 5, millis: 1_500 },
    packets_millis: 800,
    // A million in all while four streams run.
    flood: Flood { rate: 50_000, different: 5_000, seconds: 5 },
    idle: Duration::from_secs(30),
};

/// Some two minutes.
const QUICK: Pace = Pace {
    rounds: 1,
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
    // One whose stream does not end in a flood would be waited for again in each round.
    let mut flooded = devices.clone();
    for round in 1..=pace.rounds {
        floor(&mut results)?;
        let beds = beds(&devices, &mut results)?;
        idle(round, &beds, pace, &mut results)?;
        for (device, bed) in beds {
            eprintln!("round {round} of {}: {}", pace.rounds, device.name);
            loaded(&bed, device.name, pace, &mut results)?;
        }
        let mut survivors = Vec::new();
        for device in flooded {
            eprintln!("round {round} of {}: {}, flood", pace.rounds, device.name);
            // A bed of its own: a flood may leave a device in a state that no other figure should see.
            let flood = |results: &mut Results| flood::measure(&device, pace.flood, results);
            if note(device.name, "flood", &mut results, flood)? {
                survivors.push(device);
            }
        }
        flooded = survivors;
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

/// A bed for each device that starts. Only one of ours that does not, or a signal to end, is an error.
fn beds<'a>(devices: &'a [Device], results: &mut Results) -> Result<Vec<(&'a Device, Bed)>> {
    let mut beds = Vec::new();
    for device in devices {
        match Bed::new(device) {
            Ok(bed) => beds.push((device, bed)),
            Err(error) if device.name == OURS => return Err(error).context("ours cannot be measured"),
            Err(error) => {
                interrupt::check()?;
                results.leave_out(format!("{}: {error:#}", device.name));
            }
        }
    }
    Ok(beds)
}

/// What one waits for in a tunnel that has nothing else to do. All are up at once, and asked in turns of a second or two:
/// the last hundredth of the same device differs by half from one minute to the next.
fn idle(round: usize, beds: &[(&Device, Bed)], pace: &Pace, results: &mut Results) -> Result<()> {
    eprintln!("round {round} of {}: idle", pace.rounds);
    for (device, bed) in beds {
        note(device.name, "first packet", results, |results| echo::measure_first(bed, device.name, results))?;
    }
    for _ in 0..pace.echoes.times {
        for (device, bed) in beds {
            let measure = |results: &mut Results| echo::measure_idle(bed, device.name, pace.echoes.millis, results);
            note(device.name, "idle echo", results, measure)?;
        }
    }
    Ok(())
}

/// What one device carries.
///
/// What cannot be measured is left out with the reason; only a signal to end is an error.
fn loaded(bed: &Bed, name: &'static str, pace: &Pace, results: &mut Results) -> Result<()> {
    note(name, "streams", results, |results| stream::measure(bed, name, pace.stream_seconds, results))?;
    note(name, "small packets", results, |results| packets::measure(bed, name, pace.packets_millis, results))?;
    note(name, "loaded echo", results, |results| echo::measure_loaded(bed, name, pace.echoes, results))?;
    Ok(())
}

/// Measures, and notes why that cannot be; whether it could. An error is a signal to end.
fn note(
    device: &str,
    what: &str,
    results: &mut Results,
    measure: impl FnOnce(&mut Results) -> Result<()>,
) -> Result<bool> {
    let outcome = measure(results);
    interrupt::check()?;
    if let Err(error) = &outcome {
        results.leave_out(format!("{device}, {what}: {error:#}"));
    }
    Ok(outcome.is_ok())
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
