//! One plugin that runs: its instances, its record, its status; the three questions that may be put to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Moment, SystemTime};

use parking_lot::Mutex;
use servos_mesh::{Service, Snapshot};
use tracing::{debug_span, warn};
use wasmtime::Store;

use crate::bindings::{naming as raw_naming, policy as raw_policy, types, weighting as raw_weighting};
use crate::code_cache::hex;
use crate::component::{Exports, Linked};
use crate::fault::Fault;
use crate::guest_state::GuestState;
use crate::instance::{Instance, StartError};
use crate::instance_pool::{InstancePool, TakeError};
use crate::limits::{MAX_LOCAL_INSTANCES, NAMING_INSTANCES, PLANNING_INSTANCES, STALLED};
use crate::manifest::Manifest;
use crate::naming::{Keep, Outcome, Question, RecordType};
use crate::plugin_log::PluginLog;
use crate::policy::{PolicyContext, Rule, Transport};
use crate::standing::{Admission, Standing};
use crate::tally::Tally;
use crate::ticker::Ticker;
use crate::weighting::Candidate;
use crate::{FaultCounts, Kind, LastFault, Latency, LogLine, Unanswered, contract_names, directory, trial, validate};

/// A plugin that was loaded and answered its trial.
pub struct Plugin {
    name: String,
    kind: Kind,
    interface: String,
    imports: Vec<String>,
    sha256: String,
    version: Option<String>,
    linked: Linked,
    manifest: Manifest,
    deadline: Duration,
    instances: InstancePool,
    log: Arc<PluginLog>,
    record: Mutex<Record>,
    calls: AtomicU64,
    tally: Tally,
    ticker: Arc<Ticker>,
}

#[derive(Default)]
struct Record {
    standing: Standing,
    faults: u64,
    by_kind: FaultCounts,
    last_fault: Option<LastFault>,
}

impl Plugin {
    #[allow(clippy::too_many_arguments, reason = "called from one place, each is a field")]
    pub(crate) fn new(
        name: &str,
        kind: Kind,
        interface: String,
        imports: Vec<String>,
        sha256: &[u8; 32],
        version: Option<String>,
        linked: Linked,
        manifest: &Manifest,
        log: Arc<PluginLog>,
        first: Instance,
        ticker: Arc<Ticker>,
    ) -> Self {
        let size = match kind {
            Kind::Naming => NAMING_INSTANCES,
            Kind::Weighting | Kind::Policy => PLANNING_INSTANCES,
        };
        Self {
            name: name.to_owned(),
            kind,
            interface,
            imports,
            sha256: hex(sha256),
            version,
            linked,
            manifest: manifest.clone(),
            deadline: manifest.deadline_of(kind),
            instances: InstancePool::new(size, first),
            log,
            record: Mutex::default(),
            calls: AtomicU64::new(0),
            tally: Tally::default(),
            ticker,
        }
    }

    /// The name that it was loaded under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The extension point that it serves.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The interface that it exports, for example `servos:plugin/naming@0.1.0`.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The world of the contract that it is made for, for example `servos:plugin/naming-plugin@0.1.0`.
    pub fn world(&self) -> String {
        let version = self.interface.split_once('@').map_or("", |(_, version)| version);
        contract_names::world(self.kind, version)
    }

    /// What it imports, and so may do: `log`, `directory`, interfaces of WASI.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// SHA-256 of its file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The version that it gives itself.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// How long a call may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How long an outcome of it may be kept.
    pub fn keep(&self) -> Keep {
        self.manifest.answers.unwrap_or_default()
    }

    /// Asks what a name means. Blocking, for at most the deadline, or [`START_DEADLINE`](crate::limits::START_DEADLINE)
    /// more where an instance has to be made. Never answers [`Outcome::Failed`].
    ///
    /// # Errors
    ///
    /// [`Unanswered`].
    pub fn resolve(&self, mesh: &Arc<Snapshot>, question: &Question) -> Result<Outcome, Unanswered> {
        self.resolve_in(Some(mesh), question)
    }

    /// Asks for the weights of a service's instances, 0 to 1,000, in the order of `candidates`. Blocking.
    ///
    /// # Errors
    ///
    /// [`Unanswered`].
    pub fn weigh(
        &self,
        mesh: &Arc<Snapshot>,
        service: &Service,
        candidates: &[Candidate],
    ) -> Result<Vec<u16>, Unanswered> {
        let candidates: Vec<_> = candidates
            .iter()
            .map(|candidate| raw_weighting::Candidate {
                instance: directory::instance(mesh, service, &candidate.instance),
                current_weight: candidate.current_weight,
            })
            .collect();
        self.weigh_in(Some(mesh), &directory::service(service), &candidates)
    }

    /// Asks for this server's firewall rules. Blocking.
    ///
    /// # Errors
    ///
    /// [`Unanswered`].
    pub fn rules(&self, mesh: &Arc<Snapshot>, context: &PolicyContext) -> Result<Vec<Rule>, Unanswered> {
        self.rules_in(Some(mesh), context)
    }

    /// Puts one question of its kind to it, in an empty mesh.
    pub(crate) fn try_out(&self) -> Result<(), Unanswered> {
        match self.kind {
            Kind::Naming => self.resolve_in(None, &trial::question()).map(drop),
            Kind::Weighting => self.weigh_in(None, &trial::service(), &trial::candidates()).map(drop),
            Kind::Policy => self.rules_in(None, &trial::context()).map(drop),
        }
    }

    /// Makes one more instance, configured, and throws it away: what a question costs on top when none is idle.
    ///
    /// # Errors
    ///
    /// [`Unanswered::Fault`] if it does not start, [`Unanswered::Busy`] if the pool of all plugins is full.
    pub fn start_another(&self) -> Result<(), Unanswered> {
        match Instance::start(&self.linked, &self.manifest, &self.log, &self.ticker) {
            Ok(instance) => {
                drop(instance);
                Ok(())
            }
            Err(StartError::PoolFull) => Err(Unanswered::Busy),
            Err(StartError::Fault(fault)) => Err(Unanswered::Fault(fault)),
        }
    }

    /// Whether it is set aside.
    pub fn is_quarantined(&self) -> bool {
        self.record.lock().standing.is_quarantined()
    }

    /// Forgets its faults: set aside, it is asked again.
    pub fn reset(&self) {
        self.record.lock().standing.reset();
    }

    /// Faults since it was loaded, by kind.
    pub fn faults_by_kind(&self) -> FaultCounts {
        self.record.lock().by_kind
    }

    /// How long its calls took since it was loaded.
    pub fn latency(&self) -> Latency {
        self.tally.latency()
    }

    /// Bytes that one of its instances held at most.
    pub fn memory_peak(&self) -> usize {
        self.tally.most_memory()
    }

    /// Calls since it was loaded, its trial included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many faults there were since it was loaded, and the latest.
    pub fn faults(&self) -> (u64, Option<LastFault>) {
        let record = self.record.lock();
        (record.faults, record.last_fault.clone())
    }

    /// The last lines of its log, oldest first.
    pub fn log(&self) -> Vec<LogLine> {
        self.log.tail()
    }

    /// Lines of its log that were dropped, because it wrote more than it may.
    pub fn log_lines_dropped(&self) -> u64 {
        self.log.dropped_in_all()
    }

    fn resolve_in(&self, mesh: Option<&Arc<Snapshot>>, question: &Question) -> Result<Outcome, Unanswered> {
        let raw = raw_naming::Question {
            name: question.name.clone(),
            record_type: match question.record_type {
                RecordType::A => raw_naming::RecordType::A,
                RecordType::Aaaa => raw_naming::RecordType::Aaaa,
                RecordType::Srv => raw_naming::RecordType::Srv,
                RecordType::Ptr => raw_naming::RecordType::Ptr,
                RecordType::Txt => raw_naming::RecordType::Txt,
                RecordType::Other => raw_naming::RecordType::Other,
            },
        };
        let ask = |exports: &Exports, store: &mut Store<GuestState>| match exports {
            Exports::Naming(guest) => guest.call_resolve(store, &raw).map(Some),
            _ => Ok(None),
        };
        self.call(mesh, ask, |answer| Ok(validate::outcome(answer, question.record_type, mesh.map(|mesh| &**mesh))?))
    }

    fn weigh_in(
        &self,
        mesh: Option<&Arc<Snapshot>>,
        service: &types::Service,
        candidates: &[raw_weighting::Candidate],
    ) -> Result<Vec<u16>, Unanswered> {
        let ask = |exports: &Exports, store: &mut Store<GuestState>| match exports {
            Exports::Weighting(guest) => guest.call_weigh(store, service, candidates).map(Some),
            _ => Ok(None),
        };
        self.call(mesh, ask, |answer| Ok(validate::weights(answer, candidates.len())?))
    }

    fn rules_in(&self, mesh: Option<&Arc<Snapshot>>, context: &PolicyContext) -> Result<Vec<Rule>, Unanswered> {
        let raw = raw_context(context);
        let ask = |exports: &Exports, store: &mut Store<GuestState>| match exports {
            Exports::Policy(guest) => guest.call_rules(store, &raw).map(Some),
            _ => Ok(None),
        };
        self.call(mesh, ask, |answer| Ok(validate::rules(answer)?))
    }

    /// One call: admitted, run, checked, recorded. An instance that erred is thrown away.
    fn call<R, T>(
        &self,
        mesh: Option<&Arc<Snapshot>>,
        ask: impl FnOnce(&Exports, &mut Store<GuestState>) -> wasmtime::Result<Option<R>>,
        check: impl FnOnce(R) -> Result<T, Fault>,
    ) -> Result<T, Unanswered> {
        let generation = mesh.map_or(0, |mesh| mesh.generation);
        let _span = debug_span!("plugin_call", plugin = self.name, kind = %self.kind, generation).entered();
        let began = Moment::now();
        match self.record.lock().standing.admit(began) {
            Admission::Call => {}
            Admission::Resting => return Err(Unanswered::Resting),
            Admission::Quarantined => return Err(Unanswered::Quarantined),
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let ticker = &self.ticker;
        let start = || Instance::start(&self.linked, &self.manifest, &self.log, ticker);
        let result = match self.instances.take(self.deadline + STALLED, start) {
            Err(TakeError::Busy) => return Err(Unanswered::Busy),
            Err(TakeError::Fault(fault)) => Err(fault),
            Ok(mut lease) => {
                let answered = lease.instance().call(ticker, self.deadline, mesh, ask);
                self.tally.memory(lease.instance().memory_held());
                match answered {
                    Ok(None) => {
                        lease.give_back();
                        return Err(Unanswered::OtherKind);
                    }
                    Ok(Some(answer)) => check(answer).inspect(|_| lease.give_back()),
                    Err(fault) => Err(fault),
                }
            }
        };
        self.tally.call(began.elapsed());
        match result {
            Ok(answer) => Ok(answer),
            Err(fault) => {
                warn!(plugin = self.name, %fault, "plugin failed");
                let mut record = self.record.lock();
                record.standing.faulted(Moment::now());
                record.faults += 1;
                record.by_kind.add(&fault);
                record.last_fault = Some(LastFault { at: SystemTime::now(), message: fault.to_string() });
                Err(Unanswered::Fault(fault))
            }
        }
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn raw_context(context: &PolicyContext) -> raw_policy::Context {
    let instances = context.instances.iter().take(MAX_LOCAL_INSTANCES);
    raw_policy::Context {
        wireguard_port: context.wireguard_port,
        interface: context.interface.clone(),
        instances: instances
            .map(|instance| raw_policy::LocalInstance {
                service: instance.service.clone(),
                transport: match instance.transport {
                    Transport::Tcp => raw_policy::Transport::Tcp,
                    Transport::Udp => raw_policy::Transport::Udp,
                    Transport::Any => raw_policy::Transport::Any,
                },
                port: instance.port,
            })
            .collect(),
        proxy_ports: context.proxy_ports.clone(),
    }
}
