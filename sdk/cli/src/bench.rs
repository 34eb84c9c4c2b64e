//! `bench`: how long a component takes to load, start and answer, and what memory it takes.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use servos_conformance_kit::Latency;
use servos_conformance_kit::files::PluginFiles;
use servos_sandbox::naming::{Question, RecordType};
use servos_sandbox::{Kind, Plugin, Sandbox, Unanswered};

use crate::call::MeshArgument;
use crate::inspect::kib;
use crate::limits::{BENCH_CALLS, BENCH_FOR, BENCH_STARTS, BENCH_WARM_UP};
use crate::mesh_file::Mesh;

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    files: PluginFiles,

    #[command(flatten)]
    mesh: MeshArgument,

    /// The name that a naming plugin is asked for (A), or the service whose instances a weighting plugin weighs;
    /// otherwise the first service of the mesh
    #[arg(long)]
    ask: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    kind: Kind,
    /// What it was asked.
    question: String,
    bytes: usize,
    /// Until it is ready: compiled, started, configured, tried.
    cold_load_ns: u64,
    /// The same with its native code in the cache.
    warm_load_ns: u64,
    /// Of one more instance, configured.
    instantiation: Latency,
    /// Of one question.
    call: Latency,
    /// Resident memory of this process that came with it: code and one instance.
    memory_bytes: u64,
}

/// Measures, and prints figures. 1: it does not load, or does not answer.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let (wasm, manifest) = arguments.files.read()?;
    let mesh = arguments.mesh.read()?;
    let cache = tempfile::tempdir().context("no temporary folder for compiled code (TMPDIR names another)")?;
    // The sandbox makes the folder that it trusts, for this user alone; the temporary one others may read.
    let code = cache.path().join("code");
    let load = || {
        let sandbox = Sandbox::new(Some(&code))?;
        let before = resident()?;
        let began = Instant::now();
        let loaded = sandbox.load(&arguments.files.name(), &wasm, &manifest);
        Ok::<_, anyhow::Error>((loaded, nanoseconds(began.elapsed()), resident()?.saturating_sub(before)))
    };
    let (cold, cold_load_ns, _) = load()?;
    if let Err(error) = cold {
        eprintln!("servos-plugin: {} {error}", arguments.files.plugin.display());
        return Ok(ExitCode::FAILURE);
    }
    drop(cold);
    let (plugin, warm_load_ns, memory_bytes) = load()?;
    let plugin = plugin.context("it loaded once and does not again")?;
    let asked = Asked::of(plugin.kind(), &mesh, arguments.ask.as_deref())?;
    for _ in 0..BENCH_WARM_UP {
        if let Err(error) = asked.put(&plugin, &mesh) {
            eprintln!("servos-plugin: the plugin {error}, asked {asked}");
            return Ok(ExitCode::FAILURE);
        }
    }
    let call = timed(BENCH_CALLS, || asked.put(&plugin, &mesh)).context("the plugin stopped answering")?;
    let instantiation = timed(BENCH_STARTS, || plugin.start_another()).context("the plugin stopped starting")?;
    let (kind, bytes, question) = (plugin.kind(), wasm.len(), asked.to_string());
    let measured = Measured { kind, question, bytes, cold_load_ns, warm_load_ns, instantiation, call, memory_bytes };
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&measured)?),
        false => println!("{measured}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The question that is put again and again.
enum Asked {
    Name(Question),
    /// Index in the mesh.
    Service(usize, String),
    Rules,
}

impl Asked {
    fn of(kind: Kind, mesh: &Mesh, ask: Option<&str>) -> Result<Self> {
        let services = mesh.snapshot.table.services();
        let first = services.first().map(|service| service.name.as_str());
        Ok(match (kind, ask.or(first)) {
            (Kind::Policy, _) => Self::Rules,
            (_, None) => bail!("the mesh has no service: say with --ask what to ask for"),
            (Kind::Naming, Some(name)) => Self::Name(Question { name: name.to_owned(), record_type: RecordType::A }),
            (Kind::Weighting, Some(name)) => {
                let at = services.iter().position(|service| service.name.as_str() == name);
                Self::Service(at.with_context(|| format!("the mesh has no service {name:?}"))?, name.to_owned())
            }
        })
    }

    fn put(&self, plugin: &Plugin, mesh: &Mesh) -> Result<(), Unanswered> {
        match self {
            Self::Name(question) => plugin.resolve(&mesh.snapshot, question).map(drop),
            Self::Service(at, _) => {
                let service = &mesh.snapshot.table.services()[*at];
                plugin.weigh(&mesh.snapshot, service, &mesh.candidates(service)).map(drop)
            }
            Self::Rules => plugin.rules(&mesh.snapshot, &mesh.context).map(drop),
        }
    }
}

/// Percentiles of up to `most` repetitions, fewer if they take long.
fn timed(most: usize, mut once: impl FnMut() -> Result<(), Unanswered>) -> Result<Latency> {
    let began = Instant::now();
    let mut taken = Vec::new();
    while taken.len() < most && began.elapsed() < BENCH_FOR {
        let began = Instant::now();
        once()?;
        taken.push(began.elapsed());
    }
    Latency::of(taken).context("nothing was measured")
}

/// Bytes of this process that are in memory.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).context("no VmRSS")?;
    Ok(kib * 1024)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(question) => write!(f, "what {} means", question.name),
            Self::Service(_, name) => write!(f, "the weights of {name}"),
            Self::Rules => write!(f, "the rules of this server"),
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        writeln!(f, "{} plugin, {}", self.kind, kib(self.bytes))?;
        writeln!(
            f,
            "load            cold {:.1} ms, warm {:.1} ms",
            millis(self.cold_load_ns),
            millis(self.warm_load_ns)
        )?;
        writeln!(f, "instantiation   {}", self.instantiation)?;
        writeln!(f, "call            {} ({})", self.call, self.question)?;
        write!(f, "memory          {:.1} MiB", self.memory_bytes as f64 / f64::from(1 << 20))
    }
}
