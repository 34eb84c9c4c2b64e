//! Every limit, pace and time-out of the control plane, each with its reason. What the wire allows stands in
//! `servos_mesh::limits`.

use std::time::Duration;

/// How long a writer waits for another process's transaction: an `apply` of a large file takes a second or two.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often `serve` asks SQLite whether another process changed something. One cheap query; the promise is 100 ms.
pub const NOTICE_INTERVAL: Duration = Duration::from_millis(50);

/// Pause after looking for changes failed: the disk or a lock is in the way, and asking faster helps neither.
pub const NOTICE_PAUSE: Duration = Duration::from_secs(1);

/// The reader that looks for changes has hung if it was not heard for so long; the watchdog is then not fed.
pub const NOTICE_OVERDUE: Duration = Duration::from_secs(10);

/// Longest time that `Prefer: wait` is honoured: below the idle time-outs of common middleboxes.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// Part of a wait, at random, by which it ends early: polls that began together must not end together.
pub const WAIT_JITTER: f64 = 0.2;

/// For a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the head of a request, also the time that a connection may lie idle between two.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// For the body of a request, which is small.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head; ours has some 400.
pub const MAX_HEAD_BYTES: usize = 16 << 10;

/// Header fields of a request.
pub const MAX_HEADERS: usize = 64;

/// A client that takes nothing for so long is gone (TCP_USER_TIMEOUT): a large state may take its time, a stuck
/// connection may not.
pub const STALLED_WRITE: Duration = Duration::from_secs(30);

/// Revisions since which an organisation's changes are remembered: minutes of a large mesh in which something changes all
/// the time, so that a server whose connection broke finds its own among them. What bounds their memory is
/// [`MAX_REMEMBERED_BYTES`]; this bounds the list that each revision has of them.
pub const MAX_REMEMBERED_REVISIONS: usize = 4_096;

/// Bytes of an organisation's remembered changes: some 80,000 servers.
pub const MAX_REMEMBERED_BYTES: usize = 8 << 20;

/// A delta over all that is remembered is no longer than its steps: servers take it.
const _: () = assert!(MAX_REMEMBERED_BYTES <= servos_mesh::limits::MAX_DELTA_BYTES);

/// Bytes of an organisation's deltas over several revisions, which are kept until the next change, for all who ask from
/// the same one. Without it each remembered revision could cost as much again as all that is remembered. What finds no
/// room is made anew for each who asks.
pub const MAX_COMPOSED_BYTES: usize = 32 << 20;

/// Deltas over several revisions that are made at a time for one revision: each takes a core, and some thrice its bytes.
pub const COMPOSED_AT_A_TIME: usize = 4;

/// Connections at one time: a long poll a server, and room. Each costs a file and some 40 KiB.
pub const MAX_CONNECTIONS: usize = 131_072;

/// Files that are no connections: database, log, listener.
pub const FILES_KEPT_FREE: usize = 64;

/// Pause after `accept` failed for want of files, instead of failing again at once.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests under way may take to end when the process is asked to stop.
pub const DRAIN: Duration = Duration::from_secs(10);

/// Requests that wait for the database. Beyond, they are answered 503 at once, so that the queue stays short.
pub const MAX_QUEUED_JOBS: usize = 4_096;

/// What a client is asked to wait after a 503, in seconds; it adds jitter of its own.
pub const BUSY_RETRY_AFTER: u32 = 2;

/// Failed enrolments that one network may have in a row before it is slowed down.
pub const ENROL_FAILURES: u32 = 10;

/// Beyond [`ENROL_FAILURES`], one more for each such time. Guessing 256 bits is hopeless anyway: this saves work.
pub const ENROL_FAILURE_EVERY: Duration = Duration::from_secs(6);

/// Counters of failed enrolments: constant memory (8 bytes each); two networks rarely share one.
pub const ENROL_COUNTERS: usize = 65_536;

/// Life of an enrolment token unless told otherwise: long enough to type, short enough to lose.
pub const DEFAULT_TOKEN_LIFE: &str = "24h";

/// Longest life of an enrolment token.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_secs(10 * 366 * 86_400);

/// How long a deleted server's credential hash is kept for a running `serve` to see. It looks twenty times a second;
/// one that was stopped for longer notices the gap and forgets every credential.
pub const DEPARTURES_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Bytes of a resources file: some hundred thousand instances.
pub const MAX_RESOURCES_FILE: u64 = 64 << 20;

/// Problems of a resources file that are listed; whoever has more has one cause.
pub const MAX_PROBLEMS: usize = 100;

/// Between two probes if a health check does not say.
pub const DEFAULT_HEALTH_INTERVAL: Duration = Duration::from_millis(500);

/// For a probe if a health check does not say.
pub const DEFAULT_HEALTH_TIMEOUT: Duration = Duration::from_millis(400);
