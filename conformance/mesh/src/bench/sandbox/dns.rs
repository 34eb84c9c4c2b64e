//! DNS answers a second of this project's name server: with no plugin, one, and five; cached, and with more names than
//! are kept.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use servos_mesh::{MeshAddress, Snapshot};
use servos_names::{ListenerState, NameServer, NamesSettings, Resolve};
use servos_sandbox::naming::{Answer, Outcome, Question, Rdata, RecordType};
use servos_sandbox::{BundledPlugin, PluginHost, PluginHostConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::figure::{CACHED_1, CACHED_5, NO_PLUGIN, UNCACHED_1, UNCACHED_5};
use super::guests::{self, BUNDLE};
use super::mesh::SERVERS;
use crate::DnsperfReport;
use crate::bench::dns::dnsperf_arguments;
use crate::bench::figure::{Figure, OURS};
use crate::bench::results::Results;

/// Where the server listens: no agent's address, so that one may run here.
const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 64, 17, 53);

/// Names that are asked when answers are to be cached.
const FEW: u32 = 100;

/// Plugins that pass, before the one that answers.
const PASSING: [&str; 4] = ["passing-1", "passing-2", "passing-3", "passing-4"];

/// Who answers, and with how many names.
pub(super) struct Names {
    runtime: Runtime,
    mesh: Arc<Snapshot>,
    folder: TempDir,
    none: Arc<dyn Resolve>,
    one: Arc<dyn Resolve>,
    five: Arc<dyn Resolve>,
}

impl Names {
    pub(super) fn new(mesh: Arc<Snapshot>) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for questions")?;
        for names in [FEW, SERVERS] {
            let questions: String = (1..=names).map(|server| format!("s{server}.mesh.internal A\n")).collect();
            std::fs::write(folder.path().join(names.to_string()), questions).context("cannot write questions")?;
        }
        Ok(Self {
            runtime: Runtime::new().context("no threads for the name server")?,
            mesh,
            none: Arc::new(CompiledIn(watch::Sender::new(0))),
            one: host(&folder, &[])?,
            five: host(&folder, &PASSING)?,
            folder,
        })
    }

    /// One round.
    pub(super) fn measure(&self, seconds: u32, results: &mut Results) -> Result<()> {
        for (names, one, five) in [(FEW, CACHED_1, CACHED_5), (SERVERS, UNCACHED_1, UNCACHED_5)] {
            let floor = self.rate(&self.none, names, seconds)?;
            let mut add = |figure: Figure, plugins: &Arc<dyn Resolve>| -> Result<()> {
                results.add(figure, OURS, self.rate(plugins, names, seconds)?);
                results.add(figure, NO_PLUGIN, floor);
                Ok(())
            };
            add(one, &self.one)?;
            add(five, &self.five)?;
        }
        Ok(())
    }

    /// Answers a second of a fresh server, asked for so many names in turn.
    fn rate(&self, plugins: &Arc<dyn Resolve>, names: u32, seconds: u32) -> Result<f64> {
        let settings = NamesSettings { loopback: LOOPBACK, ..NamesSettings::default() };
        // Not this machine's: the server waits for it, and listens on loopback.
        let address = MeshAddress::from_index(1)?;
        let (_mesh, snapshots) = watch::channel(self.mesh.clone());
        let server =
            self.runtime.block_on(NameServer::start(&settings, address, Vec::new(), plugins.clone(), snapshots));
        let listens = server.listeners().into_iter().find(|listener| *listener.address.ip() == LOOPBACK);
        match listens.map(|listener| listener.state) {
            Some(ListenerState::Listening) => {}
            state => bail!("no server on {LOOPBACK}: {state:?}"),
        }
        let questions = self.folder.path().join(names.to_string()).display().to_string();
        let (loopback, seconds) = (LOOPBACK.to_string(), seconds.to_string());
        let asked = Command::new("dnsperf").args(dnsperf_arguments(&loopback, "53", &questions, &seconds)).output();
        let counted = server.counters();
        self.runtime.block_on(server.shutdown());
        let asked = asked.context("cannot run dnsperf")?;
        let printed = String::from_utf8_lossy(&asked.stdout);
        ensure!(asked.status.success(), "dnsperf: {}{printed}", String::from_utf8_lossy(&asked.stderr));
        let cached = counted.cache_hits as f64 / counted.queries.max(1) as f64;
        ensure!(if names == FEW { cached > 0.95 } else { cached < 0.05 }, "{names} names: {cached} of them cached");
        DnsperfReport::new(printed).answers_a_second()
    }
}

/// The bundle's naming plugin behind plugins of those names that pass.
fn host(folder: &TempDir, passing: &[&'static str]) -> Result<Arc<dyn Resolve>> {
    // A bundle is part of a program, and lives as long.
    let leaked = |wasm: Vec<u8>| -> &'static [u8] { wasm.leak() };
    let mut bundle: Vec<_> =
        passing.iter().map(|&name| BundledPlugin { name, wasm: leaked(guests::passing()) }).collect();
    bundle.push(BundledPlugin { name: BUNDLE[0], wasm: leaked(guests::built(BUNDLE[0])?) });
    let expected = bundle.len();
    let host = PluginHost::new(PluginHostConfig {
        bundle,
        disabled: Vec::new(),
        bundle_settings: BTreeMap::new(),
        folder: folder.path().join("plugins.d"),
        cache: folder.path().join("compiled"),
        trust: None,
    })?;
    let running = host.status().iter().filter(|plugin| plugin.kind.is_some()).count();
    ensure!(running == expected, "{running} of {expected} plugins run");
    Ok(host)
}

/// Servers answer to their names, without a plugin.
struct CompiledIn(watch::Sender<u64>);

impl Resolve for CompiledIn {
    fn resolve(&self, mesh: &Arc<Snapshot>, question: &Question) -> Outcome {
        match mesh.table.server_by_name(&question.name) {
            Some(server) if question.record_type == RecordType::A => {
                Outcome::Answers(vec![Answer { ttl: 5, rdata: Rdata::A(server.address().ipv4()) }])
            }
            Some(_) => Outcome::NoData,
            None => Outcome::Pass,
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
