//! Why a file is no plugin, in words for who dropped it.

use crate::{Fault, Kind, Unanswered};

/// Why a file is no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not WebAssembly.
    #[error("is no WebAssembly")]
    NotWasm,
    /// WebAssembly, but not a component.
    #[error("is a core module, not a component (`wasm-tools component new` makes one)")]
    CoreModule,
    /// The compiler refuses it.
    #[error("does not compile: {0}")]
    Compile(String),
    /// Nothing that an agent would ask.
    #[error("exports no extension point (one of servos:plugin/naming, weighting, policy @0.1)")]
    NoExtensionPoint,
    /// Made for another version of the contract.
    #[error("exports {0}, this agent serves servos:plugin@0.1: build it against that, or upgrade the agent")]
    OtherVersion(String),
    /// More than one extension point.
    #[error("exports several extension points of servos:plugin; make a file for each")]
    SeveralExtensionPoints,
    /// Its file says how long to keep answers that are never kept.
    #[error("is a {0} plugin, whose answers are not kept: remove [cache] from its .toml")]
    NothingToKeep(Kind),
    /// It imports what its file does not grant.
    #[error("imports {import}, which its .toml does not grant: write there, under [grants], {line}")]
    NotGranted {
        /// What it imports.
        import: String,
        /// The line that grants all that it imports.
        line: String,
    },
    /// It imports what there is not, or a function is missing.
    #[error("does not fit the contract: {0}")]
    Link(String),
    /// The pool of all plugins has no slot left.
    #[error("there is no room for another plugin: remove one")]
    PoolFull,
    /// It does not start.
    #[error("does not start: {0}")]
    Start(Fault),
    /// It gives no sound answer to a first question.
    #[error("fails its trial: {0}")]
    Trial(Unanswered),
}
