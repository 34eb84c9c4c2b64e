//! One TCP stream through the tunnel, and what each side's device spends on it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::bed::Bed;
use super::figure::{CPU_RECEIVER, CPU_SENDER, RESIDENT, STREAM_BACK, STREAM_THERE};
use crate::bench::process::{cpu_seconds, resident_kib};
use crate::bench::results::Results;
use crate::daemon::Daemon;
use crate::machine::Machine;
use crate::wait_for;

/// Bytes that have passed when a stream counts as running.
const RUNNING: u64 = 1 << 20;

pub(super) fn measure(bed: &Bed, device: &'static str, seconds: u32, results: &mut Results) -> Result<()> {
    let (one, two) = (bed.one.daemon.pid(), bed.two.daemon.pid());
    let before = (cpu_seconds(one)?, cpu_seconds(two)?);
    let there = stream(&bed.machine_one, &bed.machine_two, bed.two.address, seconds, Way::There)?;
    let after = (cpu_seconds(one)?, cpu_seconds(two)?);
    results.add(STREAM_THERE, device, there.gigabits_a_second());
    results.add(CPU_SENDER, device, (after.0 - before.0) / there.gigabits);
    results.add(CPU_RECEIVER, device, (after.1 - before.1) / there.gigabits);
    let back = stream(&bed.machine_one, &bed.machine_two, bed.two.address, seconds, Way::Back)?;
    results.add(STREAM_BACK, device, back.gigabits_a_second());
    let resident = resident_kib(one)?.max(resident_kib(two)?);
    results.add(RESIDENT, device, resident / 1_000.0 * 1.024);
    Ok(())
}

/// Which way the data go: to the machine that listens, or from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Way {
    There,
    Back,
}

/// What went through.
pub(in crate::bench) struct Stream {
    pub(super) gigabits: f64,
    seconds: f64,
}

impl Stream {
    pub(in crate::bench) fn gigabits_a_second(&self) -> f64 {
        self.gigabits / self.seconds
    }
}

/// One stream with `iperf3`, cubic; what its receiver got.
pub(in crate::bench) fn stream(from: &Machine, to: &Machine, address: &str, seconds: u32, way: Way) -> Result<Stream> {
    let mut receiver = listen(to, address)?;
    let seconds = seconds.to_string();
    let mut arguments = vec!["-c", address, "-t", &seconds, "-C", "cubic", "--json"];
    arguments.extend((way == Way::Back).then_some("-R"));
    let text = from.run("iperf3", &arguments)?.success("iperf3")?;
    receiver.stop()?;
    let report: Value = serde_json::from_str(&text)?;
    let received = &report["end"]["sum_received"];
    let figure = |name: &str| received[name].as_f64().with_context(|| format!("iperf3 gives no {name}"));
    let stream = Stream { gigabits: figure("bytes")? * 8.0 / 1e9, seconds: figure("seconds")? };
    ensure!(stream.gigabits > 0.0, "nothing went through");
    Ok(stream)
}

/// A stream that runs in the background until it is dropped.
pub(super) struct Load {
    _sender: Daemon,
    _receiver: Daemon,
}

impl Load {
    /// Returns once data flow.
    pub(super) fn start(bed: &Bed) -> Result<Self> {
        let receiver = listen(&bed.machine_two, bed.two.address)?;
        let before = sent(&bed.machine_one)?;
        let arguments = ["-c", bed.two.address, "-t", "60", "-C", "cubic"];
        let sender = bed.machine_one.spawn("load", "iperf3", &arguments, "")?;
        wait_for("the stream", Duration::from_secs(10), || {
            let passed = sent(&bed.machine_one)?.saturating_sub(before);
            ensure!(passed > RUNNING, "{passed} bytes passed");
            Ok(())
        })?;
        Ok(Self { _sender: sender, _receiver: receiver })
    }
}

fn listen(machine: &Machine, address: &str) -> Result<Daemon> {
    let receiver = machine.spawn("iperf3", "iperf3", &["-s", "-1", "-B", address], "")?;
    wait_for("iperf3 -s", Duration::from_secs(10), || machine.sh("ss -tln | grep -q :5201")?.success("ss").map(drop))?;
    Ok(receiver)
}

/// Bytes that went into the tunnel so far.
fn sent(machine: &Machine) -> Result<u64> {
    let text = machine.read("/proc/self/net/dev")?;
    let interface = format!("{}:", super::device::INTERFACE);
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&interface)).context("the interface is gone")?;
    line.split_whitespace().nth(8).and_then(|bytes| bytes.parse().ok()).with_context(|| line.to_owned())
}
