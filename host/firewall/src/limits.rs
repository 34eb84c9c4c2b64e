//! Every limit and time-out of this crate, each with its reason.

use std::time::Duration;

/// Rules that the policy plugins may ask for. Each costs ufw half a second, once.
pub const MAX_RULES: usize = 256;

/// Commands of one run. Two for each rule, and as many again for what a change in between asks for.
pub const MAX_STEPS: usize = 4 * MAX_RULES;

/// Failures in a row after which a run ends: ufw itself is broken, not one rule.
pub const MAX_FAILURES_IN_A_ROW: usize = 3;

/// Of one command. ufw takes 130 to 320 ms on an idle machine, and may wait for whoever holds its lock.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// Until another run of this crate lets go of the lock file.
pub const LOCK_DEADLINE: Duration = Duration::from_secs(120);

/// Between two looks at a lock that another process holds; nobody tells when a file lock becomes free.
pub const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of a failed command's output that go into its error.
pub const MAX_ERROR_TEXT: usize = 500;

/// Bytes of an interface's name that ufw takes (and the kernel, IFNAMSIZ without the final zero).
pub const MAX_INTERFACE: usize = 15;
