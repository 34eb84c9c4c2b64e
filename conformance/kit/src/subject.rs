//! What is judged.

use std::sync::Arc;

use servos_sandbox::{LoadError, Manifest, Plugin, Sandbox};
use tempfile::TempDir;

use crate::JudgeError;
use crate::limits::{LATER, PRESENT};

/// A component that can be loaded again and again: each series of questions starts with a fresh plugin.
pub(crate) struct Subject<'a> {
    pub manifest: &'a Manifest,
    wasm: &'a [u8],
    present: Arc<Sandbox>,
    later: Arc<Sandbox>,
    /// Compiled once, loaded often.
    _cache: TempDir,
}

/// What the wall clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    Present,
    Later,
}

impl<'a> Subject<'a> {
    pub fn new(wasm: &'a [u8], manifest: &'a Manifest) -> Result<Self, JudgeError> {
        let cache = tempfile::tempdir().map_err(JudgeError::Folder)?;
        // The sandbox makes the folder that it trusts, for this user alone; the temporary one others may read.
        let code = cache.path().join("code");
        let sandbox = |time| Sandbox::with_stopped_clock(Some(&code), time);
        let (present, later) = (sandbox(PRESENT)?, sandbox(LATER)?);
        Ok(Self { manifest, wasm, present, later, _cache: cache })
    }

    /// A fresh plugin, with the settings that it is judged with.
    pub fn fresh(&self, time: Time) -> Result<Plugin, LoadError> {
        let sandbox = match time {
            Time::Present => &self.present,
            Time::Later => &self.later,
        };
        sandbox.load("plugin", self.wasm, self.manifest)
    }

    /// A fresh plugin with other settings: JSON text.
    pub fn with_settings(&self, settings: String) -> Result<Plugin, LoadError> {
        self.present.load("plugin", self.wasm, &Manifest { settings, ..self.manifest.clone() })
    }
}
