//! How much the kit asks of a plugin, each with its reason.

/// Instances of the large service: somewhat more than `directory.instances` hands over.
pub const MANY_INSTANCES: u32 = 5_000;

/// Instances that a policy is told of in its largest context: ten times the rules that it may answer.
pub const MANY_LOCAL_INSTANCES: u16 = 2_560;

/// Bytes of the longest setting: what a file of settings may hold, less its key.
pub const LONG_SETTING: usize = 60 << 10;

/// Levels of the deepest setting; parsers of JSON give up before.
pub const DEEP_SETTING: usize = 500;
