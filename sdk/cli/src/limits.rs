//! How much is read and measured, each with its reason.

use std::time::Duration;

/// Bytes of a mesh file: some ten thousand servers, more than anybody writes by hand.
pub const MAX_MESH_BYTES: u64 = 1 << 20;

/// Bytes of a plugin's name: it is part of file names, and leaves room for what stands beside it.
pub const MAX_NAME: usize = 40;

/// Calls that are measured at most.
pub const BENCH_CALLS: usize = 10_000;

/// Calls before the measured ones: caches of the processor are cold in the first.
pub const BENCH_WARM_UP: usize = 100;

/// After which no more calls are measured: a slow guest takes milliseconds each.
pub const BENCH_FOR: Duration = Duration::from_secs(2);

/// Instantiations that are measured at most.
pub const BENCH_STARTS: usize = 500;
