//! What a plugin costs: to load, to instantiate, to have.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use servos_sandbox::{Manifest, Plugin, Sandbox};

use super::calls::nanoseconds;
use super::figure::{COLD, INSTANTIATION, MEMORY, WARM};
use super::guests::{self, BUNDLE};
use crate::bench::figure::OURS;
use crate::bench::process::resident_kib;
use crate::bench::results::Results;

/// Plugins whose memory is measured: as many as a folder may hold.
const PLUGINS: usize = servos_sandbox::limits::MAX_DROP_INS;

/// Resident memory of a plugin with its compiled code and one instance.
pub(super) fn memory(results: &mut Results) -> Result<()> {
    let folder = tempfile::tempdir().context("no folder for compiled code")?;
    let wasm = guests::built(BUNDLE[0])?;
    let sandbox = Sandbox::new(Some(&cache(folder.path())))?;
    // Compiled here, so that a compiler's memory is not counted.
    let _first = load(&sandbox, BUNDLE[0], &wasm)?;
    let own = std::process::id();
    let before = resident_kib(own)?;
    let plugins = (0..PLUGINS).map(|_| load(&sandbox, BUNDLE[0], &wasm)).collect::<Result<Vec<_>>>()?;
    let after = resident_kib(own)?;
    drop(plugins);
    results.add(MEMORY, OURS, (after - before) * 1.024e-3 / PLUGINS as f64);
    Ok(())
}

/// A further instance of the bundle's naming plugin.
pub(super) fn instantiation(time: Duration, results: &mut Results) -> Result<()> {
    let sandbox = Sandbox::new(None)?;
    let plugin = load(&sandbox, BUNDLE[0], &guests::built(BUNDLE[0])?)?;
    results.add(INSTANTIATION, OURS, nanoseconds(time, || Ok(plugin.start_another()?))? / 1e3);
    Ok(())
}

/// The whole bundle as an agent that starts loads it: the engine made, each plugin compiled, configured and tried; then
/// the same again.
pub(super) fn bundle(results: &mut Results) -> Result<()> {
    let folder = tempfile::tempdir().context("no folder for compiled code")?;
    let wasm = BUNDLE.into_iter().map(|name| Ok((name, guests::built(name)?))).collect::<Result<Vec<_>>>()?;
    for figure in [COLD, WARM] {
        let began = Instant::now();
        let sandbox = Sandbox::new(Some(&cache(folder.path())))?;
        let plugins = wasm.iter().map(|(name, wasm)| load(&sandbox, name, wasm)).collect::<Result<Vec<_>>>()?;
        results.add(figure, OURS, began.elapsed().as_secs_f64() * 1e3);
        drop(plugins);
    }
    Ok(())
}

/// Made by the sandbox, for this user alone.
fn cache(folder: &Path) -> std::path::PathBuf {
    folder.join("compiled")
}

fn load(sandbox: &Arc<Sandbox>, name: &str, wasm: &[u8]) -> Result<Plugin> {
    sandbox.load(name, wasm, &Manifest::default()).with_context(|| format!("plugin {name}"))
}
