//! UDP echo through the tunnel: the first packet, an idle tunnel, and one that carries a TCP stream.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::bed::Bed;
use super::device;
use super::figure::{ECHO_IDLE_P50, ECHO_IDLE_P99, ECHO_LOADED_P50, ECHO_LOADED_P99, FIRST_PACKET};
use super::inside::{Helper, pause};
use super::stream::Load;
use crate::bench::results::Results;

const PORT: u16 = 7_007;

/// Sessions that are made for a first packet.
const FIRSTS: usize = 9;

/// Between two of them: some devices refuse a peer's initiation within 20 ms of its last.
const BETWEEN_FIRSTS: Duration = Duration::from_millis(50);

/// So long the round trip is looked at that a first packet is held against.
const AFTER_FIRST_MILLIS: u32 = 500;

/// What a round asks for: so often, each time for so many milliseconds. The last hundredth differs much from one time to
/// the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echoes {
    pub(super) times: usize,
    pub(super) millis: u32,
}

/// The first packet, beyond the round trip of those that follow.
pub(super) fn measure_first(bed: &Bed, device: &'static str, results: &mut Results) -> Result<()> {
    let first = first(bed)?;
    let (_server, answer) = echo(bed, AFTER_FIRST_MILLIS)?;
    results.add(FIRST_PACKET, device, (first - number(&answer, "p50_us")?) / 1_000.0);
    Ok(())
}

pub(super) fn measure_idle(bed: &Bed, device: &'static str, millis: u32, results: &mut Results) -> Result<()> {
    let (_server, answer) = echo(bed, millis)?;
    results.add(ECHO_IDLE_P50, device, number(&answer, "p50_us")?);
    results.add(ECHO_IDLE_P99, device, number(&answer, "p99_us")?);
    Ok(())
}

pub(super) fn measure_loaded(bed: &Bed, device: &'static str, echoes: Echoes, results: &mut Results) -> Result<()> {
    let _load = Load::start(bed)?;
    for _ in 0..echoes.times {
        let (_server, answer) = echo(bed, echoes.millis)?;
        results.add(ECHO_LOADED_P50, device, number(&answer, "p50_us")?);
        results.add(ECHO_LOADED_P99, device, number(&answer, "p99_us")?);
    }
    Ok(())
}

/// Microseconds until the answer to a packet for which a session is made, both ways; the median of a few.
fn first(bed: &Bed) -> Result<f64> {
    let address = format!("{}:{PORT}", bed.two.address);
    let _server = Helper::start(&bed.machine_two, &["echo-serve", &address])?;
    let mut firsts = Vec::new();
    for _ in 0..FIRSTS {
        // Forgotten and known again, the peers have no session.
        let ends = ((&bed.machine_one, &bed.one), (&bed.machine_two, &bed.two));
        device::part(ends.0, ends.1)?;
        device::join(ends.0, ends.1)?;
        pause(BETWEEN_FIRSTS);
        firsts.push(number(&Helper::launch(&bed.machine_one, &["echo-first", &address])?.answer()?, "first_us")?);
    }
    firsts.sort_by(f64::total_cmp);
    Ok(firsts[FIRSTS / 2])
}

fn echo(bed: &Bed, millis: u32) -> Result<(Helper, Value)> {
    let address = format!("{}:{PORT}", bed.two.address);
    let server = Helper::start(&bed.machine_two, &["echo-serve", &address])?;
    let mut client = Helper::launch(&bed.machine_one, &["echo", &address, &millis.to_string()])?;
    Ok((server, client.answer()?))
}

pub(super) fn number(answer: &Value, name: &str) -> Result<f64> {
    answer[name].as_f64().with_context(|| format!("no {name} in {answer}"))
}
