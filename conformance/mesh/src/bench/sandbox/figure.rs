//! The figures of the sandbox, and what is aimed at.

use crate::bench::figure::Aim::{AtMost, TimesAtLeast};
use crate::bench::figure::{Aim, Figure, figure};

/// The same decision as Rust in this program: no sandbox, no copies of what is asked and answered.
pub(super) const NATIVE: &str = "compiled in";

/// The same DNS server, with names that are looked up by this program.
pub(super) const NO_PLUGIN: &str = "no plugin";

/// Whom ours is held against, in the order of the table.
pub(super) const PEERS: [&str; 2] = [NATIVE, NO_PLUGIN];

/// A cached answer costs the same, whoever gave it.
const AS_FAST: &[Aim] = &[TimesAtLeast(NO_PLUGIN, 0.9)];

pub(super) const NOP: Figure = figure("nop", "call that does nothing", "ns", &[AtMost(1_000.0)]);
pub(super) const RESOLVE: Figure = figure("resolve", "name answered, with one look-up", "ns", &[AtMost(5_000.0)]);
pub(super) const WEIGH_8: Figure = figure("weigh-8", "weights of 8 instances", "ns", &[]);
pub(super) const WEIGH_1000: Figure = figure("weigh-1000", "weights of 1,000 instances", "ns", &[]);
pub(super) const NUMBER: Figure = figure("look-up-number", "look-up by a plugin: generation", "ns", &[]);
pub(super) const SERVER: Figure = figure("look-up-server", "look-up by a plugin: server by name", "ns", &[]);
pub(super) const INSTANTIATION: Figure =
    figure("instantiation", "instance made, configured and thrown away", "µs", &[AtMost(25.0)]);
pub(super) const COLD: Figure = figure("load-cold", "bundle loaded, compiled first", "ms", &[]);
pub(super) const WARM: Figure = figure("load-warm", "bundle loaded, its native code kept", "ms", &[AtMost(20.0)]);
pub(super) const MEMORY: Figure = figure("memory", "resident memory a plugin, of 32", "MB", &[]);
pub(super) const CACHED_1: Figure = figure("dns-cached-1", "DNS answers, cached, 1 plugin", "a second", AS_FAST);
pub(super) const CACHED_5: Figure = figure("dns-cached-5", "DNS answers, cached, 5 plugins", "a second", AS_FAST);
pub(super) const UNCACHED_1: Figure = figure("dns-uncached-1", "DNS answers, uncached, 1 plugin", "a second", &[]);
pub(super) const UNCACHED_5: Figure = figure("dns-uncached-5", "DNS answers, uncached, 5 plugins", "a second", &[]);

/// All figures, in the order of the table.
pub(super) const FIGURES: [Figure; 14] = [
    NOP,
    RESOLVE,
    WEIGH_8,
    WEIGH_1000,
    NUMBER,
    SERVER,
    INSTANTIATION,
    COLD,
    WARM,
    MEMORY,
    CACHED_1,
    CACHED_5,
    UNCACHED_1,
    UNCACHED_5,
];
