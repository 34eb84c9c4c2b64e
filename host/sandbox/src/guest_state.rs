//! What a store holds beside the guest: the snapshot that it may look at, its limits, its log.

use std::sync::Arc;

use servos_mesh::Snapshot;
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::ceiling::Ceiling;
use crate::deadline::Deadline;
use crate::plugin_log::PluginLog;
use crate::wasi::Wasi;

/// State of one store.
pub(crate) struct GuestState {
    /// The mesh as it stands for the call under way; none while the guest starts.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Of the call under way.
    pub deadline: Deadline,
    pub ceiling: Ceiling,
    pub log: Arc<PluginLog>,
    wasi: Wasi,
}

impl GuestState {
    /// State of a new store with a ceiling of `memory_mib` MiB.
    pub fn new(memory_mib: u32, log: &Arc<PluginLog>, deadline: Deadline) -> Self {
        Self { snapshot: None, deadline, ceiling: Ceiling::new(memory_mib), log: log.clone(), wasi: Wasi::new(log) }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.context, table: &mut self.wasi.table }
    }
}
