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

/// Answers that broke off in a row before the whole is asked for in place of what changed: it may be the change that the
/// control plane fails over, and one or two are a restart of it.
pub const DELTA_ATTEMPTS: u32 = 3;

/// First and longest pause before an executor that failed tries again.
pub const APPLY_BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Before what a start needs beyond the tunnel is tried again.
pub const PREPARE_PAUSE: Duration = Duration::from_secs(5);

/// How much longer systemd is asked to wait for a start that is tried again, µs: well beyond one more try.
pub const START_EXTENSION_MICROS: u32 = 60_000_000;

/// How long a start waits for the MTU of the way out: a name server that answers does so in a tenth of it.
pub const MTU_PATIENCE: Duration = Duration::from_millis(500);

/// First and longest pause before the way out is looked for again.
pub const MTU_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How often an executor looks again though nothing changed: somebody else may have changed its part of the world.
pub const DRIFT_CHECK: Duration = Duration::from_secs(60);

/// Changes that arrive within this time are taken together: a burst of link events makes one snapshot.
pub const SETTLE: Duration = Duration::from_millis(20);

/// How long both keys are answered after a rotation, unless the operator says otherwise: a peer that cannot reach the
/// control plane meanwhile, for a restart or a fault of its network, is still understood.
pub const KEY_TRANSITION: Duration = Duration::from_secs(3_600);

/// The shortest: every peer that can be reached has the key within one poll.
pub const MIN_KEY_TRANSITION: Duration = Duration::from_secs(10);

/// The longest: a key that is answered for ever was not rotated.
pub const MAX_KEY_TRANSITION: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Shortest interval of rotations by themselves: each has ended well before the next begins.
pub const MIN_ROTATE_KEY_EVERY: Duration = Duration::from_secs(2 * 3_600);

/// Rotations by themselves are put off by up to this part of their interval, so that servers do not rotate in step.
pub const ROTATE_KEY_JITTER: f64 = 0.1;

/// Pause before a rotation by itself is begun again that the control plane refused: it refuses for a reason that a person
/// has to do away with, and each attempt makes a key and writes it.
pub const REFUSED_ROTATION_PAUSE: Duration = Duration::from_secs(3_600);

/// A key that the control plane took and that has not come back in a mesh state is told again after so long.
pub const PUBLISH_KEY_AGAIN: Duration = Duration::from_secs(30);

/// How often that pause doubles at most, once for each time that somebody else took the record of this server back: after
/// eight hours a copy of it has been noticed, or never is.
pub const MAX_PUBLISH_DOUBLINGS: u32 = 10;

/// A server whose record was not taken back for so long has no copy: longer than the longest of these pauses, of which
/// the copy has the same.
pub const TAKEN_BACK_FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);

/// Longest sleep of the rotation: clocks are set, and machines suspended.
pub const ROTATION_CHECK: Duration = Duration::from_secs(600);

/// How long `rotate-key` waits for the mesh to have the key before it says that the rotation goes on by itself.
pub const ROTATE_KEY_WAIT: Duration = Duration::from_secs(30);

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
