//! What a name means: the question to the naming plugins, and their answer once it has been checked.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;

/// A question for the naming plugins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Question {
    /// Lower case, without the final dot and without the mesh's domain: `postgres`, `_http._tcp.api`,
    /// `5.0.64.100.in-addr.arpa`. At most 253 bytes.
    pub name: String,
    /// The kind of record that is asked for.
    pub record_type: RecordType,
}

/// Kind of a DNS record, as far as plugins tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address; the mesh has none.
    Aaaa,
    /// Service location (RFC 2782).
    Srv,
    /// Name of an address.
    Ptr,
    /// Text.
    Txt,
    /// Anything else.
    Other,
}

/// What the chain of naming plugins says to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No plugin knows the name: it is not the mesh's.
    Pass,
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// The name exists, without records of this type (NODATA).
    NoData,
    /// 1 to 64 answers.
    Answers(Vec<Answer>),
    /// A plugin that may have known the name failed, and no other knew it (SERVFAIL).
    Failed,
}

/// An outcome, and how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What the chain says.
    pub outcome: Outcome,
    /// The least that the plugins allow that were asked: one that passed may answer the next time.
    pub keep: Keep,
}

/// How long an outcome may be kept. In no case longer than the mesh and the plugins stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Not at all: the plugins are asked each time.
    Never,
    /// For so long.
    For(Duration),
    /// Until the mesh or the plugins change.
    #[default]
    UntilRevision,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Seconds, at most [`MAX_TTL`](crate::limits::MAX_TTL).
    pub ttl: u32,
    /// What the record says.
    pub rdata: Rdata,
}

/// What a record says. Names in it are valid DNS names, lower case, without final dot: either bare (within the
/// mesh's domain) or fully qualified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rdata {
    /// The address of a server of the mesh, or of this server's failover proxy.
    A(Ipv4Addr),
    /// Where a service is (RFC 2782).
    Srv {
        /// Lower comes first.
        priority: u16,
        /// Share among those of equal priority.
        weight: u16,
        /// Never 0.
        port: u16,
        /// Name of the server.
        target: String,
    },
    /// A name.
    Ptr(String),
    /// At least one text, each at most 255 bytes.
    Txt(Vec<String>),
}
