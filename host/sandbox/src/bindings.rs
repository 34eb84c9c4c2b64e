//! The contract of `wit/` in Rust, generated: raw values as guests give them, before they are checked.
//!
//! Three worlds, one set of `types`, `log` and `directory`, so that one host implementation serves them all.

#![allow(missing_docs, reason = "generated; the contract documents it")]
#![allow(clippy::all, clippy::unwrap_used, reason = "generated")]

/// World `naming-plugin`, and what all worlds share.
pub mod naming_world {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "naming-plugin",
        additional_derives: [PartialEq],
    });
}

/// World `weighting-plugin`.
pub mod weighting_world {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "weighting-plugin",
        additional_derives: [PartialEq],
        with: {
            "servos:plugin/types": super::naming_world::servos::plugin::types,
            "servos:plugin/log": super::naming_world::servos::plugin::log,
            "servos:plugin/directory": super::naming_world::servos::plugin::directory,
        },
    });
}

/// World `policy-plugin`.
pub mod policy_world {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "policy-plugin",
        additional_derives: [PartialEq],
        with: {
            "servos:plugin/types": super::naming_world::servos::plugin::types,
            "servos:plugin/log": super::naming_world::servos::plugin::log,
            "servos:plugin/directory": super::naming_world::servos::plugin::directory,
        },
    });
}

pub use naming_world::exports::servos::plugin::naming;
pub use naming_world::servos::plugin::{directory, log, types};
pub use policy_world::exports::servos::plugin::policy;
pub use weighting_world::exports::servos::plugin::weighting;
