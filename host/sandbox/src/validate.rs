//! What a plugin answers, checked: raw values in, values that the host may act on out. Pure.

use std::net::Ipv4Addr;

use servos_mesh::limits::MAX_WEIGHT;
use servos_mesh::{HostName, LabelError, MeshAddress, Snapshot};

use crate::bindings::{naming as raw_naming, policy as raw_policy, types};
use crate::limits::{MAX_ANSWERS, MAX_RULES, MAX_TTL, MAX_TXT, MAX_TXT_RECORD};
use crate::naming::{Answer, Outcome, Rdata, RecordType};
use crate::policy::{Action, Network, PortRange, Reason, Rule, RuleError, Source, Transport};

/// Checks what a naming plugin says to a question for `asked`. Lowers each TTL to [`MAX_TTL`]; writes names in lower
/// case, without final dot. Addresses must be those of servers of `mesh`, or of its failover proxy; without `mesh` (at the
/// trial), any of 100.64.0.0/10.
///
/// # Errors
///
/// [`AnswerError`] with what is wrong.
pub fn outcome(raw: raw_naming::Outcome, asked: RecordType, mesh: Option<&Snapshot>) -> Result<Outcome, AnswerError> {
    let answers = match raw {
        raw_naming::Outcome::Pass => return Ok(Outcome::Pass),
        raw_naming::Outcome::NoSuchName => return Ok(Outcome::NoSuchName),
        raw_naming::Outcome::NoData => return Ok(Outcome::NoData),
        raw_naming::Outcome::Answers(answers) => answers,
    };
    if answers.is_empty() || answers.len() > MAX_ANSWERS {
        return Err(AnswerError::AnswerCount(answers.len()));
    }
    let checked: Result<_, AnswerError> = answers
        .into_iter()
        .map(|answer| Ok(Answer { ttl: answer.ttl.min(MAX_TTL), rdata: rdata(answer.rdata, asked, mesh)? }))
        .collect();
    Ok(Outcome::Answers(checked?))
}

/// Checks weights for that many candidates.
///
/// # Errors
///
/// [`AnswerError`] with what is wrong.
pub fn weights(raw: Vec<u16>, candidates: usize) -> Result<Vec<u16>, AnswerError> {
    if raw.len() != candidates {
        return Err(AnswerError::WeightCount { weights: raw.len(), candidates });
    }
    match raw.iter().position(|&weight| weight > MAX_WEIGHT) {
        Some(at) => Err(AnswerError::Weight { at, weight: raw[at] }),
        None => Ok(raw),
    }
}

/// Checks the rules of a policy.
///
/// # Errors
///
/// [`AnswerError`] with what is wrong.
pub fn rules(raw: Vec<raw_policy::Rule>) -> Result<Vec<Rule>, AnswerError> {
    if raw.len() > MAX_RULES {
        return Err(AnswerError::RuleCount(raw.len()));
    }
    raw.into_iter().enumerate().map(|(at, raw)| rule(raw).map_err(|source| AnswerError::Rule { at, source })).collect()
}

fn rdata(raw: raw_naming::Rdata, asked: RecordType, mesh: Option<&Snapshot>) -> Result<Rdata, AnswerError> {
    let answered = match raw {
        raw_naming::Rdata::A(_) => RecordType::A,
        raw_naming::Rdata::Srv(_) => RecordType::Srv,
        raw_naming::Rdata::Ptr(_) => RecordType::Ptr,
        raw_naming::Rdata::Txt(_) => RecordType::Txt,
    };
    if answered != asked {
        return Err(AnswerError::RecordType { asked, answered });
    }
    match raw {
        raw_naming::Rdata::A(address) => Ok(Rdata::A(known_address(address, mesh)?)),
        raw_naming::Rdata::Srv(raw_naming::Srv { port: 0, .. }) => Err(AnswerError::SrvPort),
        raw_naming::Rdata::Srv(srv) => {
            Ok(Rdata::Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: name(&srv.target)? })
        }
        raw_naming::Rdata::Ptr(target) => Ok(Rdata::Ptr(name(&target)?)),
        raw_naming::Rdata::Txt(texts) => {
            let bytes: usize = texts.iter().map(|text| text.len() + 1).sum();
            if texts.is_empty() || bytes > MAX_TXT_RECORD || texts.iter().any(|text| text.len() > MAX_TXT) {
                return Err(AnswerError::Txt);
            }
            Ok(Rdata::Txt(texts))
        }
    }
}

fn known_address((a, b, c, d): types::Ipv4Address, mesh: Option<&Snapshot>) -> Result<Ipv4Addr, AnswerError> {
    let ip = Ipv4Addr::new(a, b, c, d);
    let stranger = AnswerError::Address(ip);
    let Ok(address) = MeshAddress::try_from(ip) else { return Err(stranger) };
    let Some(mesh) = mesh else { return Ok(ip) };
    let proxy = mesh.observations.proxy.as_ref().is_some_and(|proxy| proxy.address == address);
    if !proxy && mesh.table.server_by_address(address).is_none() {
        return Err(stranger);
    }
    Ok(ip)
}

fn name(raw: &str) -> Result<String, AnswerError> {
    let bare = raw.strip_suffix('.').unwrap_or(raw).to_ascii_lowercase();
    let name: HostName = bare.parse()?;
    Ok(name.into())
}

fn rule(raw: raw_policy::Rule) -> Result<Rule, RuleError> {
    Ok(Rule {
        action: match raw.action {
            raw_policy::Action::Allow => Action::Allow,
            raw_policy::Action::Deny => Action::Deny,
            raw_policy::Action::Limit => Action::Limit,
        },
        transport: match raw.transport {
            raw_policy::Transport::Tcp => Transport::Tcp,
            raw_policy::Transport::Udp => Transport::Udp,
            raw_policy::Transport::Any => Transport::Any,
        },
        ports: PortRange::new(raw.ports.first, raw.ports.last)?,
        source: match raw.source {
            raw_policy::Source::Anywhere => Source::Anywhere,
            raw_policy::Source::Mesh => Source::Mesh,
            raw_policy::Source::Network(network) => {
                Source::Network(Network::new(<[u8; 4]>::from(network.address).into(), network.prefix_length)?)
            }
        },
        reason: Reason::new(raw.reason)?,
    })
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No answer, or too many.
    #[error("{0} answers; there must be 1 to {MAX_ANSWERS}")]
    AnswerCount(usize),
    /// A record that was not asked for.
    #[error("a record of type {answered:?} to a question for {asked:?}")]
    RecordType {
        /// What was asked.
        asked: RecordType,
        /// What was answered.
        answered: RecordType,
    },
    /// An address that is none of the mesh's.
    #[error("address {0}, which no server of the mesh has")]
    Address(Ipv4Addr),
    /// A name that is none.
    #[error("{0}")]
    Name(#[from] LabelError),
    /// Port 0.
    #[error("an SRV record with port 0")]
    SrvPort,
    /// Texts that do not fit a record.
    #[error("a TXT record without text, with a text over {MAX_TXT} bytes, or over {MAX_TXT_RECORD} bytes in all")]
    Txt,
    /// Not one weight a candidate.
    #[error("{weights} weights for {candidates} candidates")]
    WeightCount {
        /// How many weights.
        weights: usize,
        /// For how many candidates.
        candidates: usize,
    },
    /// A weight out of range.
    #[error("weight {weight} for candidate {at}; a weight is 0 to {MAX_WEIGHT}")]
    Weight {
        /// Which, from 0.
        at: usize,
        /// The weight.
        weight: u16,
    },
    /// Too many rules.
    #[error("{0} rules; there may be {MAX_RULES}")]
    RuleCount(usize),
    /// A rule that is none.
    #[error("rule {at}: {source}")]
    Rule {
        /// Which, from 0.
        at: usize,
        /// What is wrong with it.
        source: RuleError,
    },
}
