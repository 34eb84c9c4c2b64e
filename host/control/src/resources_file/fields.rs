//! Typed reading of a YAML mapping's fields that goes on after a problem: all problems are noted, unknown fields too.

use std::time::Duration;

use serde_yaml_ng::{Mapping, Value};

use super::path::Path;

/// The fields of one mapping. Whatever was not asked for when [`finish`](Self::finish) is called is unknown.
pub(super) struct Fields<'v, 'p> {
    mapping: &'v Mapping,
    place: Path,
    known: Vec<&'static str>,
    problems: &'p mut Vec<(Path, String)>,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// None, and a problem, if `value` is no mapping.
    pub(super) fn open(value: &'v Value, place: Path, problems: &'p mut Vec<(Path, String)>) -> Option<Self> {
        let Some(mapping) = value.as_mapping() else {
            problems.push((place, format!("{} stands where fields belong: write `key: value`", render(value))));
            return None;
        };
        Some(Self { mapping, place, known: Vec::new(), problems })
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'v Value) -> Result<T, String>,
    ) -> Option<T> {
        if self.mapping.get(key).is_none_or(Value::is_null) {
            self.known.push(key);
            self.problems.push((self.place.clone(), format!("has no `{key}`: add it")));
            return None;
        }
        self.optional(key, read)
    }

    /// A field that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'v Value) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.mapping.get(key).filter(|value| !value.is_null())?;
        match read(value) {
            Ok(read) => Some(read),
            Err(problem) => {
                self.problem(key, problem);
                None
            }
        }
    }

    /// Notes a problem of one field.
    pub(super) fn problem(&mut self, key: &str, problem: String) {
        self.problems.push((self.place.key(key), problem));
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.mapping.keys() {
            let Some(key) = key.as_str() else {
                self.problems.push((self.place.clone(), format!("{} is no name of a field", render(key))));
                continue;
            };
            if !self.known.contains(&key) {
                let known = self.known.join(", ");
                self.problems.push((self.place.key(key), format!("there is no such field: there are {known}")));
            }
        }
    }
}

/// Reads a list; `expected` says of what.
pub(super) fn list<'v>(expected: &str) -> impl FnOnce(&'v Value) -> Result<Vec<Value>, String> {
    move |value| value.as_sequence().cloned().ok_or_else(|| format!("{} is not {expected}", render(value)))
}

pub(super) fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{} is no text: put it in quotes", render(value)))
}

/// A text, or a number or truth value as it is written.
pub(super) fn text_of_scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("{} is no text: put it in quotes", render(other))),
    }
}

pub(super) fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{} is neither true nor false", render(value)))
}

pub(super) fn number(value: &Value, range: std::ops::RangeInclusive<u16>, what: &str) -> Result<u16, String> {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        format!("{} is no {what}: give a number from {} to {}", render(value), range.start(), range.end())
    })
}

pub(super) fn duration(value: &Value) -> Result<Duration, String> {
    let problem = || format!("{} is no duration: write 500ms, 2s or 1m", render(value));
    let duration = value.as_str().and_then(|text| humantime::parse_duration(text).ok()).ok_or_else(problem)?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!("{} is no whole number of milliseconds", render(value)));
    }
    Ok(duration)
}

/// Enough of a value to find it.
pub(super) fn render(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(_) => "a tagged value".to_owned(),
    }
}
