//! The four executors: each brings its part of the world to the plan, reports, and tries again. None stops another.

pub mod driver;
pub mod failover;
pub mod firewall;
pub mod names;
pub mod tunnel;
mod way_mtu;
