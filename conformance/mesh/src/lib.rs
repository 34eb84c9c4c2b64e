//! A laboratory for the mesh end to end: machines in namespaces on an underlay bridge, and the real programs on them.
//!
//! A machine has its own network, `/etc`, `/run` and `/var/lib`; everything of a laboratory ends
//! with it, also after a failure, and nothing leaves it. Needs root.

#![forbid(unsafe_code)]

pub mod bench;
mod daemon;
pub mod demo;
mod dnsperf;
mod interrupt;
mod lab;
pub mod leftovers;
mod machine;
mod mesh;
mod programs;
mod services;
mod shell;
mod underlay;
mod wait;

pub use daemon::Daemon;
pub use dnsperf::DnsperfReport;
pub use lab::Lab;
pub use machine::Machine;
pub use mesh::{MeshLab, Server};
pub use programs::{Programs, tools, traefik};
pub use services::{start_dns_upstream, start_http_instance, start_traefik};
pub use shell::Output;
pub use wait::wait_for;
