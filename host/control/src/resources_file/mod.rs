//! `resources.yaml`: read, checked whole, every problem named with its line and field.
//!
//! Reading is in two steps, so that one run names all problems: [`ResourcesFile::parse`] finds what is wrong with the
//! text alone, [`ResourcesFile::check`] adds what is wrong beside the mesh's servers.

mod document;
mod fields;
mod locate;
mod path;
mod resource;

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use serde::Serialize;
use serde_yaml_ng::Value;
use servos_mesh::{DnsLabel, Service};

use crate::limits::{MAX_PROBLEMS, MAX_RESOURCES_FILE};
use fields::Fields;
use path::Path;

pub use document::ResourceDocument;

/// A resource as the operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// All but the instances, which are empty here.
    pub service: Service,
    /// Sorted by server and port, unique.
    pub instances: Vec<Placement>,
}

/// Where an instance runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    /// Name of the server.
    pub server: DnsLabel,
    /// The port that it listens on.
    pub port: u16,
    /// 0 to 1,000.
    pub weight: u16,
}

/// A file that is YAML of the right shape; what it says may still be wrong.
#[derive(Debug)]
pub struct ResourcesFile {
    name: String,
    text: String,
    resources: Vec<Found>,
    problems: Vec<(Path, String)>,
}

/// A resource and where it stands.
#[derive(Debug)]
struct Found {
    place: Path,
    /// Among the file's resources.
    index: usize,
    resource: Resource,
    /// Of each instance, its index in the file's list.
    listed: Vec<usize>,
}

impl ResourcesFile {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    ///
    /// One problem if it cannot be read; else as [`parse`](Self::parse).
    pub fn read(name: &str) -> Result<Self, Problems> {
        let mut text = String::new();
        let read = match name {
            "-" => std::io::stdin().lock().take(MAX_RESOURCES_FILE + 1).read_to_string(&mut text),
            _ => std::fs::File::open(name).and_then(|file| file.take(MAX_RESOURCES_FILE + 1).read_to_string(&mut text)),
        };
        let name = if name == "-" { "standard input" } else { name };
        match read {
            Err(error) => Err(Problems::one(name, format!("cannot be read: {error}"))),
            Ok(length) if length as u64 > MAX_RESOURCES_FILE => {
                Err(Problems::one(name, format!("is longer than {MAX_RESOURCES_FILE} bytes: split it")))
            }
            Ok(_) => Self::parse(name, text),
        }
    }

    /// Parses the text of a file; `name` is what problems call it.
    ///
    /// # Errors
    ///
    /// The one problem of a text that is no YAML, with line and column.
    pub fn parse(name: &str, text: String) -> Result<Self, Problems> {
        let mut root: Value = serde_yaml_ng::from_str(&text).map_err(|error| no_yaml(name, &error))?;
        root.apply_merge().map_err(|error| no_yaml(name, &error))?;
        let mut problems = Vec::new();
        let mut resources = Vec::new();
        if let Some(mut top) = Fields::open(&root, Path::default(), &mut problems) {
            let list = top.required("resources", fields::list("a list of resources, each `- name: …`"));
            top.finish();
            let here = Path::default().key("resources");
            for (index, value) in list.unwrap_or_default().iter().enumerate() {
                let place = here.index(index);
                let read = resource::read(value, &place, &mut problems);
                resources.extend(read.map(|(resource, listed)| Found { place, index, resource, listed }));
            }
        }
        Ok(Self { name: name.to_owned(), text, resources, problems })
    }

    /// Names that the file gives to resources or to servers, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = Vec::new();
        for Found { resource, .. } in &self.resources {
            names.push(resource.service.name.as_str());
            names.extend(resource.instances.iter().map(|instance| instance.server.as_str()));
        }
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// The resources, if all of the file is good. `is_server`: whether a server of the mesh has that name.
    ///
    /// # Errors
    ///
    /// Every problem of the file.
    pub fn check(&self, is_server: impl Fn(&str) -> bool) -> Result<Vec<Resource>, Problems> {
        let mut problems = self.problems.clone();
        let mut seen: HashMap<&DnsLabel, usize> = HashMap::new();
        for Found { place, index, resource, listed } in &self.resources {
            let name = &resource.service.name;
            let here = place.key("name");
            if is_server(name.as_str()) {
                problems.push((here.clone(), format!("{name} is the name of a server: name the resource differently")));
            }
            if let Some(first) = seen.get(name) {
                let problem =
                    format!("{name} is the name of resources[{first}] already: a name stands for one resource");
                problems.push((here, problem));
            } else {
                seen.insert(name, *index);
            }
            for (instance, at) in resource.instances.iter().zip(listed) {
                if !is_server(instance.server.as_str()) {
                    let problem =
                        format!("there is no server {}: `servos-control server list` shows them", instance.server);
                    problems.push((place.key("instances").index(*at).key("server"), problem));
                }
            }
        }
        if problems.is_empty() {
            return Ok(self.resources.iter().map(|found| found.resource.clone()).collect());
        }
        Err(self.located(problems))
    }

    fn located(&self, mut problems: Vec<(Path, String)>) -> Problems {
        let more = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        let mut list: Vec<_> = problems
            .into_iter()
            .map(|(path, message)| {
                let (line, column) = locate::locate(&self.text, &path).unzip();
                Problem { line, column, field: path.to_string(), message }
            })
            .collect();
        list.sort_by_key(|problem| (problem.line, problem.column));
        Problems { file: self.name.clone(), list, more }
    }
}

fn no_yaml(name: &str, error: &serde_yaml_ng::Error) -> Problems {
    let location = error.location();
    let text = error.to_string();
    // The library repeats the place at the end of its message.
    let what = text.split(" at line ").next().unwrap_or_default();
    let message =
        format!("is no YAML: {what}: indent with blanks, write `key: value`, quote texts with special characters");
    let problem = Problem {
        line: location.as_ref().map(|place| place.line()),
        column: location.as_ref().map(|place| place.column()),
        field: String::new(),
        message,
    };
    Problems { file: name.to_owned(), list: vec![problem], more: 0 }
}

/// What is wrong with a file.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
pub struct Problems {
    /// The file's name.
    pub file: String,
    /// In the order of lines.
    pub list: Vec<Problem>,
    /// How many were left out.
    pub more: usize,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Counted from 1.
    pub line: Option<usize>,
    /// Counted from 1.
    pub column: Option<usize>,
    /// Where, for example `resources[2].instances[0].server`; empty if the text is no YAML.
    pub field: String,
    /// What, and what to do.
    pub message: String,
}

impl Problems {
    fn one(file: &str, message: String) -> Self {
        let problem = Problem { line: None, column: None, field: String::new(), message };
        Self { file: file.to_owned(), list: vec![problem], more: 0 }
    }
}

impl fmt::Display for Problems {
    /// `file:line:column: field: message`, one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file)?;
            if let (Some(line), Some(column)) = (problem.line, problem.column) {
                write!(f, ":{line}:{column}")?;
            }
            if problem.field.is_empty() {
                write!(f, ": {}", problem.message)?;
            } else {
                write!(f, ": {}: {}", problem.field, problem.message)?;
            }
        }
        if self.more > 0 {
            write!(f, "\n{}: and {} more", self.file, self.more)?;
        }
        Ok(())
    }
}
