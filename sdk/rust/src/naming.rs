//! Extension point: what a name means.

use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;

pub use crate::{Directory, Health, Instance, Link, Protocol, Server, Service};

/// Kind of record that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address; the mesh has none.
    Aaaa,
    /// Service location.
    Srv,
    /// Name of an address.
    Ptr,
    /// Text.
    Txt,
    /// Anything else.
    Other,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Lower case, without the final dot and without the mesh's domain.
    pub name: String,
    /// Kind of record.
    pub record_type: RecordType,
}

impl Question {
    /// What to say if the name has this one address: the address if it is asked for, else that there is nothing of that
    /// type.
    pub fn answer_a(&self, ttl: u32, address: Ipv4Addr) -> Outcome {
        match self.record_type {
            RecordType::A => Outcome::Answers(vec![Answer::a(ttl, address)]),
            _ => Outcome::NoData,
        }
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rdata {
    /// An address of the mesh.
    A(Ipv4Addr),
    /// Where a service is (RFC 2782).
    Srv {
        /// Lower comes first.
        priority: u16,
        /// Share among those of equal priority.
        weight: u16,
        /// The port.
        port: u16,
        /// Name of the server, bare or fully qualified.
        target: String,
    },
    /// A name, bare or fully qualified.
    Ptr(String),
    /// Texts of at most 255 bytes.
    Txt(Vec<String>),
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Seconds.
    pub ttl: u32,
    /// What the record says.
    pub rdata: Rdata,
}

impl Answer {
    /// An address.
    pub fn a(ttl: u32, address: Ipv4Addr) -> Self {
        Self { ttl, rdata: Rdata::A(address) }
    }
}

/// What a plugin says to a question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Not this plugin's name: the next in the chain is asked.
    Pass,
    /// The name does not exist.
    NoSuchName,
    /// The name exists, without records of this type.
    NoData,
    /// At least one, at most 64.
    Answers(Vec<Answer>),
}

/// A naming plugin. It is its settings: read from the `[settings]` table of its file, or from an empty one if there is
/// none. One that keeps something else says so with `#[serde(try_from = "Settings")]`.
pub trait Naming: DeserializeOwned {
    /// Judges the settings, before anything is asked.
    ///
    /// # Errors
    ///
    /// What is wrong with them, for the operator. The plugin is then refused, and what ran before stays.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Answers a question. Pure: the same generation and question, the same outcome.
    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome;
}
