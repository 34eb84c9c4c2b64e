//! How much the kit asks of a plugin, each with its reason.

use std::time::Duration;

/// Instances of the largest service of the meshes: what a fleet of that many servers has. `directory.instances` hands
/// over 4,096 of them, an agent asks for the weights of 256, and the kit for those of all: what a plugin can bear should
/// not hang on a limit that may rise.
pub const MANY_INSTANCES: u32 = 100_000;

/// Candidates that every weighting plugin must be able to weigh; an interpreter takes some 8 µs for each.
pub const LARGE_SERVICE: usize = 10_000;

/// Instances that a policy is told of in its largest context: what the host hands over, sixteen times the rules that it
/// may answer.
pub const MANY_LOCAL_INSTANCES: u16 = 4_096;

/// Bytes of the longest setting: what a file of settings may hold, less its key.
pub const LONG_SETTING: usize = 60 << 10;

/// Levels of the deepest setting; parsers of JSON give up before.
pub const DEEP_SETTING: usize = 500;

/// Faults after which a series of questions ends: each costs up to a deadline, and the first tell what is wrong.
pub const FAULTS_A_SERIES: usize = 5;

/// Calls whose time is taken, at most.
pub const TIMED_CALLS: usize = 2_000;

/// After which no more calls are timed: a call of a slow guest takes milliseconds.
pub const TIMED_FOR: Duration = Duration::from_secs(1);

/// Characters of a detail: enough for a question and two answers.
pub const DETAIL: usize = 400;

/// What the wall clock shows while a plugin is judged, since 1970: it stands still, or a second that passes would look
/// like a whim.
pub const PRESENT: Duration = Duration::from_secs(1_700_000_000);

/// What it shows later. The year, month, day, weekday, hour, minute and second are other ones; odd where the others
/// are even.
pub const LATER: Duration = Duration::from_secs(1_700_000_000 + 411 * 86_400 + 5 * 3_600 + 7 * 60 + 13);
