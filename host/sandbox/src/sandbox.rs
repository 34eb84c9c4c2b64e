//! `Sandbox`: one engine, one linker, one cache of compiled code; what makes plugins of files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::{directory, log, types};
use crate::code_cache::CodeCache;
use crate::component::{Linked, check_header, classify};
use crate::engine::new_engine;
use crate::fault::shown;
use crate::grants;
use crate::guest_state::GuestState;
use crate::instance::{Instance, StartError};
use crate::manifest::Manifest;
use crate::plugin::Plugin;
use crate::plugin_log::PluginLog;
use crate::ticker::Ticker;
use crate::version::version;
use crate::{Kind, LoadError, wasi};

/// Where plugins run.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<GuestState>,
    cache: Option<CodeCache>,
    ticker: Arc<Ticker>,
}

impl Sandbox {
    /// A sandbox that keeps compiled code in the folder `cache`, or none. A folder that cannot be used costs compilation
    /// at each start, and a line in the log.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Engine`] if this machine cannot run WebAssembly.
    pub fn new(cache: Option<&Path>) -> Result<Arc<Self>, SandboxError> {
        Self::with_linker(cache, |_| Ok(()))
    }

    /// The same, with a wall clock that stands still, that long after the beginning of 1970: for whoever must know
    /// whether an answer hangs on the time.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn with_stopped_clock(cache: Option<&Path>, since_1970: Duration) -> Result<Arc<Self>, SandboxError> {
        Self::with_linker(cache, |linker| wasi::stop_clock(linker, since_1970))
    }

    fn with_linker(
        cache: Option<&Path>,
        change: impl FnOnce(&mut Linker<GuestState>) -> wasmtime::Result<()>,
    ) -> Result<Arc<Self>, SandboxError> {
        let engine = new_engine().map_err(|error| SandboxError::Engine(shown(&format!("{error:#}"))))?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)
            .and_then(|()| change(&mut linker))
            .map_err(|error| SandboxError::Engine(shown(&format!("{error:#}"))))?;
        let cache = cache.and_then(|folder| match CodeCache::open(folder, &engine) {
            Ok(cache) => Some(cache),
            Err(error) => {
                warn!(%error, "plugins are compiled at each start");
                None
            }
        });
        let ticker = Ticker::start(engine.weak()).map_err(SandboxError::Thread)?;
        Ok(Arc::new(Self { engine, linker, cache, ticker: Arc::new(ticker) }))
    }

    /// Makes a plugin of a file: compiled, type-checked, configured, and tried with one call.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with what is wrong with it.
    pub fn load(self: &Arc<Self>, name: &str, wasm: &[u8], manifest: &Manifest) -> Result<Plugin, LoadError> {
        check_header(wasm)?;
        let digest: [u8; 32] = Sha256::digest(wasm).into();
        let component = self.compile(wasm, &digest)?;
        let (kind, interface) = classify(&component, &self.engine)?;
        if kind != Kind::Naming && manifest.answers.is_some() {
            return Err(LoadError::NothingToKeep(kind));
        }
        let imports = grants::check(&component, &self.engine, &manifest.grants)?;
        let linked = self.linker.instantiate_pre(&component).and_then(|instance| Linked::new(instance, kind));
        let linked = linked.map_err(|error| LoadError::Link(shown(&format!("{error:#}"))))?;
        let log = Arc::new(PluginLog::new(name));
        let first = Instance::start(&linked, manifest, &log, &self.ticker).map_err(|error| match error {
            StartError::PoolFull => LoadError::PoolFull,
            StartError::Fault(fault) => LoadError::Start(fault),
        })?;
        let (version, ticker) = (version(wasm), self.ticker.clone());
        let plugin =
            Plugin::new(name, kind, interface, imports, &digest, version, linked, manifest, log, first, ticker);
        plugin.try_out().map_err(LoadError::Trial)?;
        Ok(plugin)
    }

    fn compile(&self, wasm: &[u8], digest: &[u8; 32]) -> Result<Component, LoadError> {
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.load(&self.engine, digest)) {
            return Ok(component);
        }
        let compiled = Component::from_binary(&self.engine, wasm);
        let component = compiled.map_err(|error| LoadError::Compile(shown(&format!("{error:#}"))))?;
        if let Some(cache) = &self.cache {
            cache.store(&component, digest);
        }
        Ok(component)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("cache", &self.cache).finish_non_exhaustive()
    }
}

fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    types::add_to_linker::<GuestState, HasSelf<GuestState>>(linker, |state| state)?;
    log::add_to_linker::<GuestState, HasSelf<GuestState>>(linker, |state| state)?;
    directory::add_to_linker::<GuestState, HasSelf<GuestState>>(linker, |state| state)?;
    wasi::link(linker)
}

/// Why there is no sandbox, or no plugin host.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not start.
    #[error("the WebAssembly engine does not start on this machine: {0}")]
    Engine(String),
    /// The system gives no thread.
    #[error("no thread for the sandbox")]
    Thread(#[source] std::io::Error),
    /// Settings or a switch for a plugin that is not in the bundle.
    #[error("no plugin {name:?} in the bundle (there are: {bundle}); correct [plugins] in the settings")]
    UnknownBundled {
        /// The name that was given.
        name: String,
        /// The names that there are.
        bundle: String,
    },
    /// The folder cannot be watched.
    #[error("cannot watch {} for plugins (raise fs.inotify.max_user_instances?)", folder.display())]
    Watch {
        /// The folder.
        folder: std::path::PathBuf,
        /// Why not.
        source: notify::Error,
    },
}
