//! UDP echo through the tunnel: the first packet, an idle tunnel, and one that carries a TCP stream.

use anyhow::{Context, Result};
use serde_json::Value;

use super::bed::Bed;
use super::figure::{ECHO_IDLE_P50, ECHO_IDLE_P99, ECHO_LOADED_P50, ECHO_LOADED_P99, FIRST_PACKET};
use super::inside::Helper;
use super::stream::Load;
use crate::bench::results::Results;

const PORT: u16 = 7_007;

/// Must come before anything else goes through the tunnel: the first echo is the one that makes the session.
pub(super) fn measure_idle(bed: &Bed, device: &'static str, millis: u32, results: &mut Results) -> Result<()> {
    let (_server, echoes) = echo(bed, millis)?;
    results.add(FIRST_PACKET, device, (number(&echoes, "first_us")? - number(&echoes, "p50_us")?) / 1_000.0);
    results.add(ECHO_IDLE_P50, device, number(&echoes, "p50_us")?);
    results.add(ECHO_IDLE_P99, device, number(&echoes, "p99_us")?);
    Ok(())
}

pub(super) fn measure_loaded(bed: &Bed, device: &'static str, millis: u32, results: &mut Results) -> Result<()> {
    let _load = Load::start(bed)?;
    let (_server, echoes) = echo(bed, millis)?;
    results.add(ECHO_LOADED_P50, device, number(&echoes, "p50_us")?);
    results.add(ECHO_LOADED_P99, device, number(&echoes, "p99_us")?);
    Ok(())
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
