//! Plugins with one fault each, for whoever must withstand or find it.
//!
//! Each is a component of the contract, as an author's tools would make it, written as WebAssembly text: no compiler is
//! needed but the crates that this one depends on. Apart from its fault it is a decent plugin: it behaves when the agent
//! tries it, refuses settings that it does not know, and errs where a mesh has a service `api` that runs on this server.
//! `cargo run -p servos-hostile-guests -- FOLDER` writes them all, to be dropped where one likes.

#![forbid(unsafe_code)]

pub mod answers;
pub mod code;
mod loading;
mod naming;
mod policy;
mod weighting;

/// A plugin with one fault.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The fault, as a DNS label: the file may be called by it.
    pub fault: &'static str,
    /// The check of the conformance kit that finds it, and the only one that does.
    pub check: &'static str,
    /// What an agent makes of it.
    pub in_agent: InAgent,
    /// The file.
    pub wasm: Vec<u8>,
}

/// What an agent makes of a plugin with a fault; each text stands in its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InAgent {
    /// It is not loaded, with a reason that holds this text.
    Refused(&'static str),
    /// It is asked and fails, with a fault that holds this text.
    Faults(&'static str),
    /// Its answer is well-formed, and the firewall's guard rails leave it out, with a note that holds this text.
    LeftOut(&'static str),
    /// Nothing: an agent cannot tell its answers from honest ones, and is none the worse for them.
    Unseen,
}

/// All of them, by what they are asked.
pub fn all() -> Vec<Guest> {
    [loading::guests(), naming::guests(), weighting::guests(), policy::guests()].concat()
}
