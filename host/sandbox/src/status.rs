//! What `status` shows of a plugin.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;
use servos_mesh::timestamp;

use crate::{FaultCounts, Kind, Latency};

/// One plugin, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PluginStatus {
    /// Name in the bundle, or the file's name without `.wasm`.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The extension point that it serves; none if its file is no plugin.
    pub kind: Option<Kind>,
    /// Whether it is asked.
    pub state: State,
    /// The interface that it exports, for example `servos:plugin/naming@0.1.0`.
    pub interface: Option<String>,
    /// The world of the contract that it is made for, for example `servos:plugin/naming-plugin@0.1.0`.
    pub world: Option<String>,
    /// What it imports, and so may do: `log`, `directory`, interfaces of WASI.
    pub grants: Vec<String>,
    /// The version that it gives itself.
    pub version: Option<String>,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: Option<String>,
    /// Calls since it was loaded.
    pub calls: u64,
    /// Faults since it was loaded.
    pub faults: u64,
    /// The same by kind.
    pub faults_by_kind: FaultCounts,
    /// How long its calls took.
    pub latency: Latency,
    /// Bytes that one of its instances held at most, all memories together.
    pub memory_peak_bytes: usize,
    /// Lines of its log that were dropped, because it wrote more than it may.
    pub log_lines_dropped: u64,
    /// The latest fault.
    pub last_fault: Option<LastFault>,
    /// Why what is in the file is not what runs: its present content is refused, and what ran before goes on.
    pub refused_update: Option<String>,
    /// The last lines of its log, oldest first.
    pub log: Vec<LogLine>,
}

impl PluginStatus {
    /// What an operator ought to know: refused, put aside, or an update that is refused.
    pub fn problem(&self) -> Option<String> {
        match (&self.state, &self.refused_update) {
            (State::Refused(reason), _) => Some(format!("refused: {reason}")),
            (State::Quarantined(reason), _) => Some(format!(
                "set aside after repeated faults, until its file or settings change or `servos-agent plugin reset {}`: {reason}",
                self.name
            )),
            (State::Running | State::Disabled, Some(reason)) => {
                Some(format!("its file is refused, what ran before goes on: {reason}"))
            }
            (State::Running | State::Disabled, None) => None,
        }
    }
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Inside the agent.
    Bundle,
    /// A file in the plugin folder.
    File(PathBuf),
}

/// Whether a plugin is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Running,
    /// It never was: its file is no plugin, or it refused its settings. With the reason.
    Refused(String),
    /// It is not, after repeated faults, until its file or settings change or it is reset. With the latest fault.
    Quarantined(String),
    /// The operator switched it off.
    Disabled,
}

/// A fault, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastFault {
    /// When.
    #[serde(serialize_with = "timestamp::serialize")]
    pub at: SystemTime,
    /// What was wrong.
    pub message: String,
}

/// A line of a plugin's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it was written.
    #[serde(serialize_with = "timestamp::serialize")]
    pub at: SystemTime,
    /// How grave.
    pub level: LogLevel,
    /// At most 1,024 bytes, control characters escaped.
    pub message: String,
}

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// Of interest.
    Info,
    /// An operator should look.
    Warn,
    /// Something is broken.
    Error,
}
