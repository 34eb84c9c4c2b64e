//! The wasmtime engine: what guests may use of WebAssembly, and where their memory comes from.

use tracing::info;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::{
    CORE_INSTANCES, MAX_MEMORY_MIB, MEMORIES, MEMORY_KEPT, POOL_CORE_INSTANCES, POOL_INSTANCES, POOL_MEMORIES,
    POOL_TABLES, TABLE_ELEMENTS, TABLE_KEPT,
};

/// An engine with a pool of slots; without one where the pool's address space is not to be had.
///
/// # Errors
///
/// The engine's, if this machine cannot run compiled WebAssembly at all.
pub(crate) fn new_engine() -> wasmtime::Result<Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    match Engine::new(&pooled) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            info!(%error, "no pool for plugins (address space is limited?): memory is taken as it is needed");
            Engine::new(&on_demand())
        }
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Taxes every call, and serves components that are asynchronous alone.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        // Addresses in a trap's backtrace, which nobody reads.
        .generate_address_map(false);
    config
}

/// Memories that move when they grow, instead of reserving 4 GiB each.
fn on_demand() -> Config {
    let mut config = config();
    config.memory_reservation(0).memory_reservation_for_growth(1 << 20).memory_guard_size(64 << 10);
    config
}

fn pool() -> PoolingAllocationConfig {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOL_INSTANCES)
        .total_core_instances(POOL_CORE_INSTANCES)
        .total_memories(POOL_MEMORIES)
        .total_tables(POOL_TABLES)
        .max_core_instances_per_component(count(CORE_INSTANCES))
        .max_memories_per_component(count(MEMORIES))
        .max_tables_per_component(count(MEMORIES))
        .max_tables_per_module(count(MEMORIES))
        .max_memory_size(MAX_MEMORY_MIB as usize * (1 << 20))
        .table_elements(TABLE_ELEMENTS);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // What an instance wrote to is put back, and stays: its successor in the slot takes no page faults.
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(MEMORY_KEPT).table_keep_resident(TABLE_KEPT);
    }
    pool
}
