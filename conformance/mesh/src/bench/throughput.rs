//! One TCP stream between two servers: through the mesh, and through Debian's `wireguard-go` on the same machines.

use anyhow::Result;

use super::Comparison;
use super::tunnel::device::{Device, join};
use super::tunnel::stream::{Way, stream};
use crate::mesh::Server;

/// Rounds, ours and theirs in turn; the median counts.
const ROUNDS: usize = 3;
const SECONDS: u32 = 5;

pub(super) fn measure(from: &Server, to: &Server) -> Result<Vec<Comparison>> {
    let (one, two) = (&from.machine, &to.machine);
    let device = Device::debian();
    let ends = [device.start(one, "10.9.0.1")?, device.start(two, "10.9.0.2")?];
    join((one, &ends[0]), (two, &ends[1]))?;
    one.run("ping", &["-c", "2", "-W", "5", "10.9.0.2"])?.success("ping through wireguard-go")?;
    let address = to.mesh_address()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(stream(one, two, &address, SECONDS, Way::There)?.gigabits_a_second());
        theirs.push(stream(one, two, "10.9.0.2", SECONDS, Way::There)?.gigabits_a_second());
    }
    Ok(vec![Comparison::against(
        "one TCP stream through the tunnel (iperf3, cubic)",
        "Gbit/s",
        &ours,
        "wireguard-go (Debian)",
        &theirs,
    )?])
}
