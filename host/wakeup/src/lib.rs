//! Loads and feeds the mesh wakeup filter, the eBPF program on the egress of wg0.
//!
//! The program itself is in `bpf/mesh-wakeup`; what it and this crate agree on is one file, included by both.

#![forbid(unsafe_code)]

mod bitmap;
mod filter;
#[path = "../../../bpf/mesh-wakeup/src/shared.rs"]
#[allow(dead_code, reason = "the filter uses the rest")]
mod shared;
mod wakes;

pub use filter::{Counters, Hook, WakeupError, WakeupFilter};
pub use wakes::Wakes;
