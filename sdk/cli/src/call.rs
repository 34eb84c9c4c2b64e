//! `call`: one question to a component, in a mesh from a file, within the agent's limits.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use servos_conformance_kit::files::{self, PluginFiles};
use servos_mesh::Service;
use servos_sandbox::naming::{Answer, Outcome, Question as Asked, Rdata, RecordType};
use servos_sandbox::policy::{Rule, Source};
use servos_sandbox::{Kind, LogLine, Plugin, Sandbox, Unanswered};

use crate::limits::MAX_MESH_BYTES;
use crate::mesh_file::Mesh;
use crate::templates::MESH;

/// Arguments of `call`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    files: PluginFiles,

    #[command(flatten)]
    mesh: MeshArgument,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(subcommand)]
    question: Question,
}

/// The mesh that a plugin is asked in.
#[derive(Args, Debug)]
pub struct MeshArgument {
    /// The mesh that it is asked in; the one of the templates otherwise
    #[arg(long, value_name = "FILE")]
    mesh: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What a name means
    Naming {
        /// Bare, without the mesh's domain
        name: String,
        /// Kind of record
        #[arg(long = "type", value_name = "TYPE", default_value = "a", ignore_case = true)]
        record_type: RecordArgument,
    },
    /// The weights of a service's instances
    Weighting {
        /// The service's name
        service: String,
    },
    /// The rules of the server's firewall
    Policy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RecordArgument {
    A,
    Aaaa,
    Srv,
    Ptr,
    Txt,
    Other,
}

/// Asks, and prints the answer. 1: there is none.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let (wasm, manifest) = arguments.files.read()?;
    let mesh = arguments.mesh.read()?;
    let asked = match &arguments.question {
        Question::Naming { .. } => Kind::Naming,
        Question::Weighting { .. } => Kind::Weighting,
        Question::Policy => Kind::Policy,
    };
    let service = match &arguments.question {
        Question::Weighting { service } => Some(find(&mesh, service)?),
        _ => None,
    };
    let plugin = match Sandbox::new(None)?.load(&arguments.files.name(), &wasm, &manifest) {
        Ok(plugin) => plugin,
        Err(error) => return Ok(at_fault(&format!("{} {error}", arguments.files.plugin.display()))),
    };
    if plugin.kind() != asked {
        bail!("{} is a {} plugin: ask it `{}`", arguments.files.plugin.display(), plugin.kind(), plugin.kind());
    }
    let answered = match (&arguments.question, service) {
        (Question::Naming { name, record_type }, _) => {
            let question = Asked { name: name.clone(), record_type: (*record_type).into() };
            let outcome = plugin.resolve(&mesh.snapshot, &question);
            outcome.map(|outcome| (json!({ "outcome": outcome }), naming(name, &outcome)))
        }
        (_, Some(service)) => {
            let candidates = mesh.candidates(service);
            plugin.weigh(&mesh.snapshot, service, &candidates).map(|weights| weighting(&mesh, service, &weights))
        }
        (_, None) => {
            plugin.rules(&mesh.snapshot, &mesh.context).map(|rules| (json!({ "rules": rules }), policy(&rules)))
        }
    };
    Ok(printed(answered, &plugin, arguments.json))
}

impl MeshArgument {
    /// The mesh of the file.
    pub fn read(&self) -> Result<Mesh> {
        match &self.mesh {
            Some(path) => {
                let text = files::text(path, MAX_MESH_BYTES)?;
                Mesh::parse(&text).with_context(|| path.display().to_string())
            }
            None => Mesh::parse(MESH).context("the mesh of the templates"),
        }
    }
}

fn find<'a>(mesh: &'a Mesh, name: &str) -> Result<&'a Service> {
    let services = mesh.snapshot.table.services();
    let names = || services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = services.iter().find(|service| service.name.as_str() == name);
    found.with_context(|| format!("the mesh has no service {name:?}; there are: {}", names()))
}

/// Prints the answer, or why there is none; with what the plugin wrote to its log.
fn printed(answered: Result<(Value, String), Unanswered>, plugin: &Plugin, as_json: bool) -> ExitCode {
    let (answer, text) = match answered {
        Ok(answered) => answered,
        Err(error) if as_json => {
            println!("{:#}", json!({ "error": error.to_string(), "log": plugin.log() }));
            return ExitCode::FAILURE;
        }
        Err(error) => {
            log(&plugin.log());
            return at_fault(&format!("the plugin {error}"));
        }
    };
    match (as_json, answer) {
        (true, Value::Object(mut answer)) => {
            answer.insert("log".to_owned(), json!(plugin.log()));
            println!("{:#}", Value::Object(answer));
        }
        _ => {
            log(&plugin.log());
            println!("{}", text.trim_end());
        }
    }
    ExitCode::SUCCESS
}

fn log(lines: &[LogLine]) {
    for line in lines {
        eprintln!("log: {:?}: {}", line.level, line.message);
    }
}

fn at_fault(why: &str) -> ExitCode {
    eprintln!("servos-plugin: {why}");
    ExitCode::FAILURE
}

fn naming(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pass => format!("{name}: passed on, the next plugin is asked"),
        Outcome::NoSuchName => format!("{name}: no such name"),
        Outcome::NoData => format!("{name}: exists, without records of this type"),
        Outcome::Answers(answers) => answers.iter().fold(String::new(), |mut text, Answer { ttl, rdata }| {
            // Writing to a string does not fail.
            let _ = match rdata {
                Rdata::A(address) => writeln!(text, "{name} {ttl} A {address}"),
                Rdata::Srv { priority, weight, port, target } => {
                    writeln!(text, "{name} {ttl} SRV {priority} {weight} {port} {target}")
                }
                Rdata::Ptr(target) => writeln!(text, "{name} {ttl} PTR {target}"),
                Rdata::Txt(texts) => writeln!(text, "{name} {ttl} TXT {texts:?}"),
            };
            text
        }),
        Outcome::Failed => format!("{name}: failed"),
    }
}

fn weighting(mesh: &Mesh, service: &Service, weights: &[u16]) -> (Value, String) {
    let table = &mesh.snapshot.table;
    let mut values = Vec::new();
    let mut text = String::new();
    for (instance, weight) in service.instances.iter().zip(weights) {
        let server = table.server_by_address(instance.server()).map_or("", |server| table.name_of(server));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{server}:{} {weight}", instance.port());
        values.push(json!({ "server": server, "port": instance.port(), "weight": weight }));
    }
    (json!({ "weights": values }), if values.is_empty() { "no instances".to_owned() } else { text })
}

fn policy(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "no rules".to_owned();
    }
    rules.iter().fold(String::new(), |mut text, rule| {
        let source = match rule.source {
            Source::Anywhere => "anywhere".to_owned(),
            Source::Mesh => "the mesh".to_owned(),
            Source::Network(network) => network.to_string(),
        };
        let (action, transport) = (format!("{:?}", rule.action), format!("{:?}", rule.transport));
        let (action, transport) = (action.to_lowercase(), transport.to_lowercase());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{action} {transport} {} from {source}: {}", rule.ports, rule.reason);
        text
    })
}

impl From<RecordArgument> for RecordType {
    fn from(argument: RecordArgument) -> Self {
        match argument {
            RecordArgument::A => Self::A,
            RecordArgument::Aaaa => Self::Aaaa,
            RecordArgument::Srv => Self::Srv,
            RecordArgument::Ptr => Self::Ptr,
            RecordArgument::Txt => Self::Txt,
            RecordArgument::Other => Self::Other,
        }
    }
}
