//! Which extension point a component serves, and its exports of it.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Instance, InstancePre};
use wasmtime::{Engine, Store};

use crate::bindings::{naming, policy, weighting};
use crate::guest_state::GuestState;
use crate::{Kind, LoadError, contract_names};

/// Versions of the contract that are served, all of one minor: `0.1.x`.
const SERVED: &str = "0.1.";

/// Bytes that start any WebAssembly.
const MAGIC: &[u8] = b"\0asm";

/// What follows [`MAGIC`] in a component; a core module has version 1, layer 0.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];

/// Whether a file is a component at all, before a compiler looks at it.
///
/// # Errors
///
/// [`LoadError::NotWasm`] or [`LoadError::CoreModule`].
pub(crate) fn check_header(wasm: &[u8]) -> Result<(), LoadError> {
    match wasm.strip_prefix(MAGIC) {
        Some(rest) if rest.starts_with(COMPONENT) => Ok(()),
        Some(_) => Err(LoadError::CoreModule),
        None => Err(LoadError::NotWasm),
    }
}

/// The extension point that a component exports, and the interface's full name. Other exports are its own affair.
///
/// # Errors
///
/// [`LoadError::NoExtensionPoint`], [`LoadError::OtherVersion`] or [`LoadError::SeveralExtensionPoints`].
pub(crate) fn classify(component: &Component, engine: &Engine) -> Result<(Kind, String), LoadError> {
    let mut served = Vec::new();
    let mut other = None;
    for (name, export) in component.component_type().exports(engine) {
        if !matches!(export.ty, ComponentItem::ComponentInstance(_)) {
            continue;
        }
        let Some((kind, version)) = contract_names::extension_point(name) else { continue };
        match version.starts_with(SERVED) {
            true => served.push((kind, name.to_owned())),
            false => other = Some(name.to_owned()),
        }
    }
    match (served.len(), other) {
        (1, _) => Ok(served.remove(0)),
        (0, Some(name)) => Err(LoadError::OtherVersion(name)),
        (0, None) => Err(LoadError::NoExtensionPoint),
        (_, _) => Err(LoadError::SeveralExtensionPoints),
    }
}

/// A component that is linked, and where its exports are.
#[derive(Clone)]
pub(crate) struct Linked {
    pub instance: InstancePre<GuestState>,
    indices: Indices,
}

#[derive(Clone)]
enum Indices {
    Naming(naming::GuestIndices),
    Weighting(weighting::GuestIndices),
    Policy(policy::GuestIndices),
}

/// The functions of one instance.
pub(crate) enum Exports {
    Naming(naming::Guest),
    Weighting(weighting::Guest),
    Policy(policy::Guest),
}

impl Linked {
    /// Looks the functions up.
    ///
    /// # Errors
    ///
    /// The engine's, if one is missing.
    pub fn new(instance: InstancePre<GuestState>, kind: Kind) -> wasmtime::Result<Self> {
        let indices = match kind {
            Kind::Naming => Indices::Naming(naming::GuestIndices::new(&instance)?),
            Kind::Weighting => Indices::Weighting(weighting::GuestIndices::new(&instance)?),
            Kind::Policy => Indices::Policy(policy::GuestIndices::new(&instance)?),
        };
        Ok(Self { instance, indices })
    }

    /// The functions of an instance, their types checked.
    ///
    /// # Errors
    ///
    /// The engine's, if one has another type than the contract says.
    pub fn exports(&self, store: &mut Store<GuestState>, instance: &Instance) -> wasmtime::Result<Exports> {
        Ok(match &self.indices {
            Indices::Naming(indices) => Exports::Naming(indices.load(store, instance)?),
            Indices::Weighting(indices) => Exports::Weighting(indices.load(store, instance)?),
            Indices::Policy(indices) => Exports::Policy(indices.load(store, instance)?),
        })
    }
}
