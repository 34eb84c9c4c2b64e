//! What is judged.

use std::sync::Arc;

use servos_sandbox::{LoadError, Manifest, Plugin, Sandbox};

/// A component that can be loaded again and again: each check starts with a fresh plugin.
pub(crate) struct Subject<'a> {
    pub sandbox: Arc<Sandbox>,
    pub wasm: &'a [u8],
    pub manifest: &'a Manifest,
}

impl Subject<'_> {
    /// A fresh plugin, with the settings that it is judged with.
    pub fn fresh(&self) -> Result<Plugin, String> {
        self.load(self.manifest).map_err(|error| error.to_string())
    }

    /// A fresh plugin with other settings.
    pub fn load(&self, manifest: &Manifest) -> Result<Plugin, LoadError> {
        self.sandbox.load("plugin", self.wasm, manifest)
    }
}
