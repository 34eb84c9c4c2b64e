//! The file beside a plugin: `NN-name.toml`, with `[settings]` for the plugin, `[limits]` for its calls, `[cache]` for how
//! long its answers hold, and `[grants]` for what it may import.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::Kind;
use crate::grants::{GrantError, Grants};
use crate::limits::{
    MAX_DEADLINE, MAX_MEMORY_MIB, MEMORY_MIB, MIN_DEADLINE, MIN_MEMORY_MIB, NAMING_DEADLINE, PLANNING_DEADLINE,
};
use crate::naming::Keep;

/// Settings of a plugin, and limits of its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// JSON text of an object: what `configure` gets.
    pub settings: String,
    /// Of one call; none: the default of the extension point.
    pub deadline: Option<Duration>,
    /// Of all memories together.
    pub memory_mib: u32,
    /// How long an instance lives.
    pub instances: Instances,
    /// How long an answer of a naming plugin may be kept; none: the default. Other plugins' are not kept.
    pub answers: Option<Keep>,
    /// What it may import.
    pub grants: Grants,
}

/// How long an instance of a plugin lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Instances {
    /// For many calls, of which each may see what the ones before left in its memory.
    #[default]
    Warm,
    /// For one call, which sees nothing but the settings.
    Fresh,
}

impl Manifest {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the line: no TOML, an unknown field, a limit out of its bounds.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let file: File = toml::from_str(text).map_err(|error| ManifestError::at(text, &error))?;
        let deadline = file.limits.deadline_ms.map(Duration::from_millis);
        if deadline.is_some_and(|deadline| !(MIN_DEADLINE..=MAX_DEADLINE).contains(&deadline)) {
            return Err(ManifestError::Deadline);
        }
        let memory_mib = file.limits.memory_mib.unwrap_or(MEMORY_MIB);
        if !(MIN_MEMORY_MIB..=MAX_MEMORY_MIB).contains(&memory_mib) {
            return Err(ManifestError::Memory);
        }
        Ok(Self {
            settings: json(toml::Value::Table(file.settings)).to_string(),
            deadline,
            memory_mib,
            instances: file.limits.instances,
            answers: file.cache.answers.map(Keep::from),
            grants: file.grants.map_or(Ok(Grants::default()), |granted| Grants::named(granted.imports))?,
        })
    }

    /// Those settings, and default limits.
    pub fn with_settings(settings: &Json) -> Self {
        Self { settings: settings.to_string(), ..Self::default() }
    }

    /// The deadline of a call to a plugin of that kind.
    pub(crate) fn deadline_of(&self, kind: Kind) -> Duration {
        self.deadline.unwrap_or(match kind {
            Kind::Naming => NAMING_DEADLINE,
            Kind::Weighting | Kind::Policy => PLANNING_DEADLINE,
        })
    }
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            settings: "{}".to_owned(),
            deadline: None,
            memory_mib: MEMORY_MIB,
            instances: Instances::default(),
            answers: None,
            grants: Grants::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    settings: toml::Table,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    cache: Cache,
    grants: Option<Granted>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Granted {
    imports: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    deadline_ms: Option<u64>,
    memory_mib: Option<u32>,
    #[serde(default)]
    instances: Instances,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cache {
    answers: Option<Answers>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "answers must be \"until-revision\", \"never\", or seconds from 1")]
enum Answers {
    Word(Word),
    Seconds(NonZeroU32),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    UntilRevision,
    Never,
}

impl From<Answers> for Keep {
    fn from(answers: Answers) -> Self {
        match answers {
            Answers::Word(Word::UntilRevision) => Self::UntilRevision,
            Answers::Word(Word::Never) => Self::Never,
            Answers::Seconds(seconds) => Self::For(Duration::from_secs(seconds.get().into())),
        }
    }
}

/// Dates become text; JSON has no infinities, they become null.
fn json(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => Json::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect()),
    }
}

/// Why a file beside a plugin is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not the TOML that it should be.
    #[error("line {line}: {problem}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A deadline out of its bounds.
    #[error(
        "[limits] deadline_ms must be {} to {}", MIN_DEADLINE.as_millis(), MAX_DEADLINE.as_millis()
    )]
    Deadline,
    /// A memory ceiling out of its bounds.
    #[error("[limits] memory_mib must be {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB}")]
    Memory,
    /// Grants that are none.
    #[error("[grants] imports: {0}")]
    Grants(#[from] GrantError),
}

impl ManifestError {
    fn at(text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(text));
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self::Syntax { line, problem: crate::fault::shown(error.message()) }
    }
}
