//! Every limit of the sandbox, each with its reason.

use std::time::Duration;

// --- Calls

/// Deadline of a naming call unless the plugin's file says otherwise: a client of the DNS waits for it.
pub const NAMING_DEADLINE: Duration = Duration::from_millis(50);

/// Deadline of a weighting or policy call unless the plugin's file says otherwise: nobody waits for it, but the
/// executor that asks can do nothing else meanwhile.
pub const PLANNING_DEADLINE: Duration = Duration::from_millis(500);

/// Shortest deadline that a plugin's file may set: two ticks, below which a busy machine fails honest plugins.
pub const MIN_DEADLINE: Duration = Duration::from_millis(10);

/// Longest deadline that a plugin's file may set: a resolver gives up after 5 s, and asks elsewhere before.
pub const MAX_DEADLINE: Duration = Duration::from_secs(2);

/// Deadline of instantiation and `configure`, once an instance; interpreters initialise themselves there.
pub const START_DEADLINE: Duration = Duration::from_secs(1);

/// Time beyond its deadline that a call may take because the machine gives its thread no processor: a busy server must
/// not set its own plugins aside, and whoever asks gives up after seconds.
pub const STALLED: Duration = Duration::from_secs(1);

/// Between two ticks of the clock that deadlines are counted by. A call overruns its deadline by up to two.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);

/// After this long without a call the clock stands still, so that an idle server is not woken.
pub const TICKER_IDLE: Duration = Duration::from_secs(1);

/// Bytes that cross from the guest in one go, in an answer or in the arguments of a look-up: the longest answer that
/// is valid (weights for the largest service) takes a quarter of it.
pub const TRANSFER_BYTES: usize = 1 << 20;

// --- Memory

/// MiB that all memories of an instance may have together, unless the plugin's file says otherwise. A Rust guest
/// takes 1, JavaScript and Python take 16.
pub const MEMORY_MIB: u32 = 64;

/// Least that a plugin's file may set: one MiB holds the stack and data of a Rust guest.
pub const MIN_MEMORY_MIB: u32 = 1;

/// Most that a plugin's file may set, and what a slot of the pool holds.
pub const MAX_MEMORY_MIB: u32 = 256;

/// Elements of all tables of an instance together; a Python guest takes 7,700.
pub const TABLE_ELEMENTS: usize = 20_000;

/// Core instances within one component instance; a Python guest takes 38.
pub const CORE_INSTANCES: usize = 100;

/// Memories of one component instance, and tables likewise; a Python guest takes 3.
pub const MEMORIES: usize = 8;

/// Resource handles of WASI that an instance may hold: standard streams, pollables, errors.
pub const HANDLES: usize = 1_024;

/// Random bytes handed over in one call: seeds are tens of bytes.
pub const RANDOM_BYTES: u64 = 64 << 10;

// --- Instances

/// Instances of one naming plugin at a time: as many questions run side by side as a small server has cores.
pub const NAMING_INSTANCES: usize = 4;

/// Instances of one weighting or policy plugin: one executor asks.
pub const PLANNING_INSTANCES: usize = 1;

/// Calls before an instance is made afresh: bounds what a leak in a guest can hold.
pub const CALLS_PER_INSTANCE: u32 = 100_000;

/// Age at which an instance is made afresh, however few its calls: what goes astray in a guest ends within the hour.
pub const INSTANCE_AGE: Duration = Duration::from_secs(3_600);

/// Component instances of the pool: 32 drop-ins of 4 instances would fill it, and they make the others only under load.
pub const POOL_INSTANCES: u32 = 128;

/// Memories of the pool. Each reserves 4 GiB of address space, touched or not: half a TiB of the 128 that a process has.
pub const POOL_MEMORIES: u32 = 128;

/// Bytes of a slot that stay with it when an instance goes, of those that it wrote to: a Rust guest writes to some 100 KiB.
pub const MEMORY_KEPT: usize = 256 << 10;

/// The same of a slot for a table: a Rust guest's takes 1 KiB.
pub const TABLE_KEPT: usize = 4 << 10;

/// Tables of the pool.
pub const POOL_TABLES: u32 = 512;

/// Core instances of the pool; a count without cost of its own.
pub const POOL_CORE_INSTANCES: u32 = 4_096;

// --- Faults

/// The window in which faults are counted.
pub const FAULT_WINDOW: Duration = Duration::from_secs(60);

/// Faults within the window that set a plugin aside, until its file or settings change or an operator resets it.
pub const QUARANTINE_FAULTS: usize = 5;

/// Pause before the second fault in a window is followed by another try; doubles with each further one. The first is
/// followed at once: one bad question must not cost the next.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Characters that are kept of a text that a guest or an engine says of a fault.
pub const FAULT_TEXT: usize = 300;

// --- Answers

/// Answers to one question.
pub const MAX_ANSWERS: usize = 64;

/// Seconds that a name may be kept by whoever asked: an answer changes with the mesh.
pub const MAX_TTL: u32 = 60;

/// How long an answer may be kept that another plugin gave in place of one that failed, which may be back by then.
pub const STOOD_IN: Duration = Duration::from_secs(1);

/// Bytes of one text of a TXT record (RFC 1035 §3.3).
pub const MAX_TXT: usize = 255;

/// Bytes of all texts of one TXT record, with their length bytes: 64 answers fit a DNS message over TCP with ease.
pub const MAX_TXT_RECORD: usize = 1_024;

/// Rules of one policy.
pub const MAX_RULES: usize = 256;

/// Bytes of a rule's reason; it becomes part of a comment of ufw.
pub const MAX_REASON_BYTES: usize = 64;

// --- Look-ups

/// Instances that `directory.instances` hands over: more would take a naming call's deadline to copy.
pub const MAX_INSTANCES_LISTED: usize = 4_096;

/// Services that `directory.local-services` hands over, and instances in a policy's context: far above what one
/// server runs.
pub const MAX_LOCAL_INSTANCES: usize = 4_096;

// --- Log

/// Bytes of a plugin's log line that are kept.
pub const LOG_LINE: usize = 1_024;

/// Lines that a plugin may write at once.
pub const LOG_BURST: u32 = 50;

/// Lines a second that a plugin may write for long.
pub const LOG_LINES_PER_SECOND: u32 = 10;

/// Lines that `status` shows.
pub const LOG_TAIL: usize = 20;

// --- Counts

/// Bounds of the latency histogram: what a call costs, an instance, a deadline, and the longest that a call may take.
pub const LATENCY_BOUNDS: [Duration; 12] = [
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(3),
];

// --- Files

/// Bytes of a plugin's file; a Python guest takes 18 MiB.
pub const MAX_WASM_BYTES: u64 = 64 << 20;

/// Bytes of the version that it gives itself; semantic versions take ten, with a commit in them fifty.
pub const MAX_VERSION: usize = 64;

/// Bytes of the settings beside it.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 10;

/// Bytes of the signature beside it; base64 of 64 bytes takes 88.
pub const MAX_SIGNATURE_BYTES: u64 = 256;

/// Keys that may sign: an organisation has a few, and each costs a verification.
pub const MAX_TRUSTED_KEYS: usize = 32;

/// Imports that a file may grant; a Python guest takes 27.
pub const MAX_GRANTS: usize = 64;

/// Bytes of one of them; the longest of WASI 0.2 takes 30.
pub const MAX_GRANT_BYTES: usize = 64;

/// Drop-in plugins in the folder.
pub const MAX_DROP_INS: usize = 32;

/// Quiet time after a change in the folder before it is read: a copy in progress raises events all along.
pub const FOLDER_QUIET: Duration = Duration::from_millis(150);

/// After which the folder is read even if it does not come to rest.
pub const FOLDER_PATIENCE: Duration = Duration::from_secs(2);

/// Between two readings of a folder that cannot be watched.
pub const FOLDER_RETRY: Duration = Duration::from_secs(30);

/// Files of compiled code that are kept; the oldest go first.
pub const CACHE_FILES: usize = 64;
