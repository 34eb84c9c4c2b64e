//! The tunnel while it is up; shared by its executor and by whoever looks at it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use servos_tunnel::Tunnel;

/// See the module.
pub type SharedTunnel = Arc<ArcSwapOption<Tunnel>>;
