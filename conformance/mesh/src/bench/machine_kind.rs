//! What was measured on.

use serde::Serialize;

/// Processor, cores and kernel of a machine.
#[derive(Debug, Serialize)]
pub(super) struct MachineKind {
    pub(super) processor: String,
    pub(super) cores: usize,
    /// Without what its distribution or owner added.
    pub(super) kernel: String,
    /// Whether it has the vectors that the tunnel seals eight packets with.
    pub(super) avx512: bool,
}

/// This machine.
pub(super) fn machine() -> MachineKind {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    MachineKind {
        processor: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: release.split(['-', '\n']).next().unwrap_or_default().to_owned(),
        avx512: servos_tunnel::seals_side_by_side(),
    }
}
