//! The ceiling on what the guest of one store holds: all memories added up, all tables added up.

use wasmtime::ResourceLimiter;

use crate::limits::{CORE_INSTANCES, MEMORIES, TABLE_ELEMENTS};

/// Counts what one store holds.
#[derive(Debug)]
pub(crate) struct Ceiling {
    memory: Gauge,
    table: Gauge,
    denied_memory: bool,
}

impl Ceiling {
    /// A ceiling of `memory_mib` MiB.
    pub fn new(memory_mib: u32) -> Self {
        let bytes = usize::try_from(memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        Self { memory: Gauge::new(bytes), table: Gauge::new(TABLE_ELEMENTS), denied_memory: false }
    }

    /// Bytes of all memories.
    pub fn memory_held(&self) -> usize {
        self.memory.held
    }

    /// Whether memory was refused since this was last asked.
    pub fn take_denied_memory(&mut self) -> bool {
        std::mem::take(&mut self.denied_memory)
    }
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let granted = self.memory.grow(current, desired);
        self.denied_memory |= !granted;
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.table.grow(current, desired))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.table.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MEMORIES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[derive(Debug)]
struct Gauge {
    held: usize,
    limit: usize,
    /// The latest growth that was granted: taken back if it then fails.
    last: usize,
}

impl Gauge {
    fn new(limit: usize) -> Self {
        Self { held: 0, limit, last: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        let total = self.held.saturating_add(more);
        let granted = total <= self.limit;
        self.last = if granted { more } else { 0 };
        self.held += self.last;
        granted
    }

    fn take_back(&mut self) {
        self.held -= std::mem::take(&mut self.last);
    }
}
