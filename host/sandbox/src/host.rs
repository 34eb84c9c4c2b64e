//! `PluginHost`: the bundle and the drop-ins, asked in order, swapped while they are asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use servos_mesh::{Service, Snapshot};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::folder::{self, Content, DropIn};
use crate::naming::{Outcome, Question, Resolved};
use crate::policy::{PolicyContext, Rule};
use crate::weighting::Candidate;
use crate::{FolderWatch, Manifest, Origin, Plugin, PluginStatus, Sandbox, SandboxError, State, Trust};

/// A plugin inside the program.
#[derive(Clone, Copy, Debug)]
pub struct BundledPlugin {
    /// Its name.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
}

/// What a [`PluginHost`] is made of.
#[derive(Clone, Debug)]
pub struct PluginHostConfig {
    /// Asked in this order, after the drop-ins.
    pub bundle: Vec<BundledPlugin>,
    /// Names of the bundle's plugins that are not to run.
    pub disabled: Vec<String>,
    /// Settings of the bundle's plugins by name; `{}` otherwise.
    pub bundle_settings: BTreeMap<String, serde_json::Value>,
    /// Where drop-ins are; need not exist.
    pub folder: PathBuf,
    /// Where compiled code is kept; made if it does not exist, for this user alone.
    pub cache: PathBuf,
    /// Who must have signed a drop-in; none: nobody need.
    pub trust: Option<Trust>,
}

/// All plugins of this server.
pub struct PluginHost {
    sandbox: Arc<Sandbox>,
    folder: PathBuf,
    trust: Option<Trust>,
    bundle: Vec<Place>,
    drop_ins: Mutex<DropIns>,
    /// What is asked; replaced in one step, read without a lock.
    chain: ArcSwap<Chain>,
    /// Held while the folder is read, so that two readings do not cross.
    scan: Mutex<()>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct DropIns {
    /// Sorted by name.
    places: Vec<Place>,
    /// Why the folder is not read.
    problem: Option<String>,
}

/// A place in the chain: what runs there, and what is wrong with what should.
#[derive(Clone)]
struct Place {
    name: String,
    origin: Origin,
    plugin: Option<Arc<Plugin>>,
    /// The content that `plugin` was made of.
    digest: Option<[u8; 32]>,
    /// Why the present content does not run.
    refused: Option<String>,
}

impl PluginHost {
    /// Loads the bundle and the drop-ins. Blocking, for seconds where nothing is compiled yet. A plugin that does not load
    /// is refused, and says so in [`status`](Self::status); the others run.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] if the engine does not start, or a name in the settings is no plugin's of the bundle.
    pub fn new(config: PluginHostConfig) -> Result<Arc<Self>, SandboxError> {
        check_names(&config)?;
        let sandbox = Sandbox::new(Some(&config.cache))?;
        let bundle = config.bundle.iter().map(|bundled| bundle_place(&sandbox, bundled, &config)).collect();
        let host = Arc::new(Self {
            sandbox,
            folder: std::path::absolute(&config.folder).unwrap_or(config.folder),
            trust: config.trust,
            bundle,
            drop_ins: Mutex::default(),
            chain: ArcSwap::default(),
            scan: Mutex::new(()),
            changes: watch::Sender::new(0),
        });
        host.rescan();
        host.link();
        Ok(host)
    }

    /// What a name means. Blocking: tens of microseconds as a rule, a deadline for each plugin that hangs.
    pub fn resolve(&self, mesh: &Arc<Snapshot>, question: &Question) -> Outcome {
        self.resolve_to_keep(mesh, question).outcome
    }

    /// The same, and how long the plugins allow that it is kept.
    pub fn resolve_to_keep(&self, mesh: &Arc<Snapshot>, question: &Question) -> Resolved {
        self.chain.load_full().resolve(mesh, question)
    }

    /// Weights of the instances of a service, 0 to 1,000, in the order of `candidates`, which are instances of `mesh`.
    /// None: no plugin gave any, and what is in force should stay. Blocking.
    pub fn weigh(&self, mesh: &Arc<Snapshot>, service: &Service, candidates: &[Candidate]) -> Option<Vec<u16>> {
        self.chain.load_full().weigh(mesh, service, candidates)
    }

    /// The rules that ought to be there, at most 256. None: no plugin gave any, and what is in force should stay. Blocking.
    pub fn rules(&self, mesh: &Arc<Snapshot>, context: &PolicyContext) -> Option<Vec<Rule>> {
        self.chain.load_full().rules(mesh, context)
    }

    /// All plugins in the order in which they are asked, those included that do not run.
    pub fn status(&self) -> Vec<PluginStatus> {
        let drop_ins = self.drop_ins.lock();
        let folder = drop_ins.problem.as_ref().map(|problem| Place {
            name: self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            origin: Origin::File(self.folder.clone()),
            plugin: None,
            digest: None,
            refused: Some(problem.clone()),
        });
        folder.iter().chain(&drop_ins.places).chain(&self.bundle).map(Place::status).collect()
    }

    /// Has a plugin asked again that was set aside after repeated faults; of one that was not, the faults are forgotten.
    ///
    /// # Errors
    ///
    /// [`ResetError`] if none of that name runs.
    pub fn reset(&self, name: &str) -> Result<(), ResetError> {
        let drop_ins = self.drop_ins.lock().places.clone();
        let mut places = drop_ins.iter().chain(&self.bundle);
        let Some(place) = places.find(|place| place.name == name) else {
            return Err(ResetError::Unknown(name.to_owned()));
        };
        let plugin = place.plugin.as_ref().ok_or_else(|| ResetError::NotLoaded(name.to_owned()))?;
        plugin.reset();
        info!(plugin = name, "plugin reset");
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// A number that changes when the set of plugins or their settings changed, or one was reset.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Watches the folder from a thread of its own, until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Watch`] if the system does not let it; [`rescan`](Self::rescan) still works.
    pub fn watch_folder(self: &Arc<Self>) -> Result<FolderWatch, SandboxError> {
        FolderWatch::start(self.clone(), self.folder.clone())
    }

    /// Reads the folder and takes over what changed. Blocking; who asks meanwhile is answered by what ran before.
    pub fn rescan(&self) {
        let _one_at_a_time = self.scan.lock();
        let found = match folder::read(&self.folder, self.trust.is_some()) {
            Ok(found) => found,
            Err(error) => {
                let problem = error.to_string();
                warn!(problem, "drop-in plugins are left as they are");
                self.drop_ins.lock().problem = Some(problem);
                return;
            }
        };
        let before = self.drop_ins.lock().places.clone();
        let after: Vec<Place> = found.into_iter().map(|drop_in| self.drop_in_place(drop_in, &before)).collect();
        let running = |places: &[Place]| {
            places
                .iter()
                .filter(|place| place.plugin.is_some())
                .map(|place| (place.name.clone(), place.digest))
                .collect::<Vec<_>>()
        };
        let changed = running(&before) != running(&after);
        *self.drop_ins.lock() = DropIns { places: after, problem: None };
        if changed {
            self.link();
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Puts the running plugins into the chain.
    fn link(&self) {
        let drop_ins = self.drop_ins.lock();
        let plugins = drop_ins.places.iter().chain(&self.bundle).filter_map(|place| place.plugin.clone());
        self.chain.store(Arc::new(Chain::new(plugins)));
    }

    /// What stands in a file's place once it was read: the plugin that it makes, or what stood there before.
    fn drop_in_place(&self, drop_in: DropIn, before: &[Place]) -> Place {
        let DropIn { name, path, content } = drop_in;
        let mut place = before.iter().find(|place| place.name == name).cloned().unwrap_or_else(|| Place {
            name: name.clone(),
            origin: Origin::File(path),
            plugin: None,
            digest: None,
            refused: None,
        });
        let content = content.map_err(|error| error.to_string());
        let content = content.and_then(|content| match &self.trust {
            Some(trust) => {
                let checked = trust.check(&content.wasm, content.signature.as_deref());
                checked.map(|()| content).map_err(|error| error.to_string())
            }
            None => Ok(content),
        });
        let loaded = content.and_then(|content| match place.digest == Some(content.digest) {
            true => Ok(None),
            false => self.load(&name, &content).map(|plugin| Some((plugin, content.digest))),
        });
        match loaded {
            Ok(None) => place.refused = None,
            Ok(Some((plugin, digest))) => {
                info!(plugin = name, kind = %plugin.kind(), sha256 = plugin.sha256(), "plugin loaded");
                place = Place { plugin: Some(Arc::new(plugin)), digest: Some(digest), refused: None, ..place };
            }
            Err(reason) => {
                if place.refused.as_ref() != Some(&reason) {
                    warn!(plugin = name, reason, "plugin refused");
                }
                place.refused = Some(reason);
            }
        }
        place
    }

    fn load(&self, name: &str, content: &Content) -> Result<Plugin, String> {
        let manifest = match &content.manifest {
            None => Manifest::default(),
            Some(text) => Manifest::parse(text).map_err(|error| format!("{name}.toml: {error}"))?,
        };
        self.sandbox.load(name, &content.wasm, &manifest).map_err(|error| error.to_string())
    }
}

impl Place {
    fn status(&self) -> PluginStatus {
        let state = match (&self.plugin, &self.refused) {
            (Some(plugin), _) if plugin.is_quarantined() => {
                State::Quarantined(plugin.faults().1.map(|fault| fault.message).unwrap_or_default())
            }
            (Some(_), _) => State::Running,
            (None, Some(reason)) => State::Refused(reason.clone()),
            (None, None) => State::Disabled,
        };
        let plugin = self.plugin.as_ref();
        let (faults, last_fault) = plugin.map(|plugin| plugin.faults()).unwrap_or_default();
        PluginStatus {
            name: self.name.clone(),
            origin: self.origin.clone(),
            kind: plugin.map(|plugin| plugin.kind()),
            state,
            interface: plugin.map(|plugin| plugin.interface().to_owned()),
            world: plugin.map(|plugin| plugin.world()),
            grants: plugin.map(|plugin| plugin.imports().to_vec()).unwrap_or_default(),
            version: plugin.and_then(|plugin| plugin.version()).map(str::to_owned),
            sha256: plugin.map(|plugin| plugin.sha256().to_owned()),
            calls: plugin.map_or(0, |plugin| plugin.calls()),
            faults,
            faults_by_kind: plugin.map(|plugin| plugin.faults_by_kind()).unwrap_or_default(),
            latency: plugin.map(|plugin| plugin.latency()).unwrap_or_default(),
            memory_peak_bytes: plugin.map_or(0, |plugin| plugin.memory_peak()),
            log_lines_dropped: plugin.map_or(0, |plugin| plugin.log_lines_dropped()),
            last_fault,
            refused_update: plugin.and(self.refused.clone()),
            log: plugin.map(|plugin| plugin.log()).unwrap_or_default(),
        }
    }
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginHost").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn check_names(config: &PluginHostConfig) -> Result<(), SandboxError> {
    let bundled = |name: &str| config.bundle.iter().any(|plugin| plugin.name == name);
    let mut named = config.disabled.iter().chain(config.bundle_settings.keys());
    match named.find(|name| !bundled(name)) {
        None => Ok(()),
        Some(name) => Err(SandboxError::UnknownBundled {
            name: name.clone(),
            bundle: config.bundle.iter().map(|plugin| plugin.name).collect::<Vec<_>>().join(", "),
        }),
    }
}

fn bundle_place(sandbox: &Arc<Sandbox>, bundled: &BundledPlugin, config: &PluginHostConfig) -> Place {
    let name = bundled.name.to_owned();
    let place = Place { name, origin: Origin::Bundle, plugin: None, digest: None, refused: None };
    if config.disabled.iter().any(|name| name == bundled.name) {
        return place;
    }
    let manifest = config.bundle_settings.get(bundled.name).map(Manifest::with_settings).unwrap_or_default();
    match sandbox.load(bundled.name, bundled.wasm, &manifest) {
        Ok(plugin) => Place { plugin: Some(Arc::new(plugin)), ..place },
        Err(error) => {
            warn!(plugin = bundled.name, reason = %error, "plugin of the bundle refused");
            Place { refused: Some(error.to_string()), ..place }
        }
    }
}

/// Why a plugin is not reset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// There is none of that name.
    #[error("no plugin {0:?}: `servos-agent plugin list` names them")]
    Unknown(String),
    /// It is refused, or switched off.
    #[error("plugin {0} does not run: `servos-agent plugin show {0}` says why")]
    NotLoaded(String),
}
