//! Every limit, pace and time-out of the agent, each with its reason.

use std::time::Duration;

/// How long a poll asks the control plane to hold its answer (`Prefer: wait`).
pub const POLL_WAIT: Duration = Duration::from_secs(25);

/// Beyond [`POLL_WAIT`], how long an answer may take: a slow line and a large mesh, not a hung peer.
pub const POLL_GRACE: Duration = Duration::from_secs(20);

/// Between two bytes of an answer. A body of any size may take its time, a silent peer may not.
pub const READ_TIMEOUT: Duration = Duration::from_secs(50);

/// To open a connection to the control plane.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For one small request: enrolment, endpoint report, leaving.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Pause after an answer that was not held, so that a control plane without `Prefer: wait` is not hammered.
pub const POLL_PAUSE: Duration = Duration::from_secs(5);

/// First and longest pause after a failed poll. The mesh works without the control plane, so there is no hurry.
pub const POLL_BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Longest `Retry-After` that is believed: a mistaken one must not silence a server for a day.
pub const RETRY_AFTER_CEILING: Duration = Duration::from_secs(600);

/// First and longest pause before an executor that failed tries again.
pub const APPLY_BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// How often an executor looks again though nothing changed: somebody else may have changed its part of the world.
pub const DRIFT_CHECK: Duration = Duration::from_secs(60);

/// Changes that arrive within this time are taken together: a burst of link events makes one snapshot.
pub const SETTLE: Duration = Duration::from_millis(20);

/// For one command of the command line to the agent's own socket.
pub const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// How long `commission` waits for the agent to bring the tunnel up before it says to look at `status`.
pub const COMMISSION_WAIT: Duration = Duration::from_secs(30);

/// Bytes of kept deltas, at least, before a whole state is written in their place.
pub const MIN_KEPT_DELTAS: u64 = 256 << 10;

/// In large meshes, as part of the whole state: they are applied again at start, which must not take longer than reading
/// the whole does.
pub const KEPT_DELTAS_SHARE: u64 = 128;

/// Bytes of kept deltas that are read at start: far more than is ever kept.
pub const MAX_KEPT_DELTAS: u64 = 256 << 20;

/// Bytes of a settings file: a megabyte is no settings file.
pub const MAX_SETTINGS: u64 = 1 << 20;

/// Bytes of a secret on disk.
pub const MAX_SECRET: u64 = 4 << 10;

/// Lines of `peers` unless `--all` is given.
pub const PEERS_LISTED: usize = 1_000;
