//! Guests made of text, and a small mesh to put to them.

#![cfg(test)]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod guest;
pub mod mesh;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use servos_sandbox::naming::{Question, RecordType};
use servos_sandbox::{BundledPlugin, Manifest, Plugin, PluginHost, PluginHostConfig, PluginStatus, Sandbox};

/// Loads a component with those limits and settings.
pub fn load(wasm: &[u8], manifest: &str) -> Plugin {
    let sandbox = Sandbox::new(None).unwrap();
    sandbox.load("test", wasm, &Manifest::parse(manifest).unwrap()).unwrap()
}

/// A host of that bundle, whose folder is `plugins.d` in `root`.
pub fn host(root: &Path, bundle: Vec<(&'static str, Vec<u8>)>) -> Arc<PluginHost> {
    PluginHost::new(config(root, bundle)).unwrap()
}

pub fn config(root: &Path, bundle: Vec<(&'static str, Vec<u8>)>) -> PluginHostConfig {
    let bundle = bundle.into_iter().map(|(name, wasm)| BundledPlugin { name, wasm: wasm.leak() }).collect();
    PluginHostConfig {
        bundle,
        disabled: Vec::new(),
        bundle_settings: Default::default(),
        folder: root.join("plugins.d"),
        cache: root.join("cache"),
        trust: None,
    }
}

pub fn question(name: &str, record_type: RecordType) -> Question {
    Question { name: name.to_owned(), record_type }
}

/// The plugin of that name.
pub fn status(host: &PluginHost, name: &str) -> Option<PluginStatus> {
    host.status().into_iter().find(|plugin| plugin.name == name)
}

/// Waits for `condition`, with a deadline that only a defect reaches.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
