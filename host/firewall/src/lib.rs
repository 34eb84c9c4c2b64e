//! ufw around the policy plugins, with guard rails.
//!
//! The operator's rules come first: no rule without this crate's ownership comment is ever changed, replaced or
//! deleted; SSH never becomes harder to reach; an inactive ufw stays inactive unless the settings say otherwise; ufw
//! is never reset, never reloaded, and its defaults are never touched. Ports that Docker publishes bypass ufw's input
//! rules: no rule of ufw opens or closes those.
//!
//! [`plan`] is pure and says what would be done; [`Firewall`] reads the world, plans, and applies one command at a time.

#![forbid(unsafe_code)]

mod apply;
mod command;
mod decommission;
mod existing;
mod facts;
mod firewall;
mod guard_rails;
pub mod limits;
mod lock;
mod plan;
mod rule;
mod settings;
pub mod ssh_ports;
mod wanted;

pub use apply::{Failure, FirewallReport};
pub use command::CommandError;
pub use decommission::plan_decommission;
pub use existing::{ExistingRule, parse_added};
pub use facts::{Facts, UfwState, parse_status};
pub use firewall::{Firewall, FirewallError};
pub use guard_rails::{GuardRails, Reach, reach};
pub use lock::LockError;
pub use plan::{FirewallPlan, Kept, Owner, Refused, Step, plan};
pub use rule::{Action, Direction, Network, OWNERSHIP, OwnRule, PortRange, Ports, Protocol, Side, Tuple};
pub use settings::{FirewallMode, FirewallSettings};
