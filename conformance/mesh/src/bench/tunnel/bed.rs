//! The bed of a measurement: a fresh laboratory, the same device on two machines, and a third that is a stranger.

use anyhow::Result;

use super::device::{self, Device, End};
use crate::lab::Lab;
use crate::machine::Machine;

/// Addresses inside the tunnel.
const ONE: &str = "10.9.0.1";
const TWO: &str = "10.9.0.2";

/// Two machines that are peers, and a stranger. Nothing went through the tunnel yet.
pub(super) struct Bed {
    // Dropped in this order: programs, machines, laboratory.
    pub(super) one: End,
    pub(super) two: End,
    pub(super) machine_one: Machine,
    pub(super) machine_two: Machine,
    pub(super) stranger: Machine,
    _lab: Lab,
}

impl Bed {
    pub(super) fn new(device: &Device) -> Result<Self> {
        let lab = Lab::new()?;
        let (machine_one, machine_two, stranger) = (lab.machine("one")?, lab.machine("two")?, lab.machine("far")?);
        let one = device.start(&machine_one, ONE)?;
        let two = device.start(&machine_two, TWO)?;
        device::join((&machine_one, &one), (&machine_two, &two))?;
        // The underlay's neighbours are known, so that the first packet inside is the tunnel's alone.
        machine_one.run("ping", &["-c", "2", "-i", "0.2", &machine_two.address().to_string()])?.success("ping")?;
        Ok(Self { one, two, machine_one, machine_two, stranger, _lab: lab })
    }
}
