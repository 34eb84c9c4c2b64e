//! What is answered: made of what the plugins said, or of what an upstream did. Pure.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NS, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use servos_mesh::Snapshot;
use servos_sandbox::naming::{self, Answer, Outcome, Rdata};

use crate::limits::ADDITIONAL_TARGETS;
use crate::zone::{Zone, absolute, name_server};

/// What is answered to a question.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub code: ResponseCode,
    pub authoritative: bool,
    /// Verified by an upstream (the AD bit).
    pub authentic: bool,
    /// Cut off already by an upstream.
    pub truncated: bool,
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
    pub additionals: Vec<Record>,
}

/// What is the same for each answer of a moment.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub mesh: &'a Snapshot,
    /// Seconds.
    pub ttl_ceiling: u32,
    /// Seconds.
    pub negative_ttl: u32,
}

impl Setting<'_> {
    fn domain(&self) -> &str {
        self.mesh.table.domain().as_str()
    }
}

impl Reply {
    /// A code and nothing else.
    pub(crate) fn bare(code: ResponseCode) -> Self {
        Self {
            code,
            authoritative: false,
            authentic: false,
            truncated: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additionals: Vec::new(),
        }
    }

    /// With authority: these records.
    fn records(answers: Vec<Record>) -> Self {
        Self { authoritative: true, answers, ..Self::bare(ResponseCode::NoError) }
    }

    /// With authority: there is no such name.
    pub(crate) fn no_such_name(zone: &Zone, setting: Setting<'_>) -> Self {
        Self { code: ResponseCode::NXDomain, ..Self::no_data(zone, setting) }
    }

    /// With authority: there is such a name, without records of that type.
    pub(crate) fn no_data(zone: &Zone, setting: Setting<'_>) -> Self {
        let soa = zone.soa(setting.mesh, setting.negative_ttl);
        Self { authority: soa.into_iter().collect(), ..Self::records(Vec::new()) }
    }

    /// The top of a zone.
    pub(crate) fn apex(zone: &Zone, name: &Name, record_type: RecordType, setting: Setting<'_>) -> Self {
        let record = match record_type {
            RecordType::SOA => zone.soa(setting.mesh, setting.negative_ttl),
            RecordType::NS => name_server(setting.mesh)
                .map(|server| Record::from_rdata(name.clone(), setting.negative_ttl, RData::NS(NS(server)))),
            _ => None,
        };
        match record {
            Some(record) => Self::records(vec![record]),
            None => Self::no_data(zone, setting),
        }
    }

    /// This host itself.
    pub(crate) fn localhost(name: &Name, record_type: RecordType, setting: Setting<'_>) -> Self {
        let rdata = match record_type {
            RecordType::A => RData::A(A(Ipv4Addr::LOCALHOST)),
            RecordType::AAAA => RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)),
            _ => return Self::no_data(&Zone::Bare, setting),
        };
        Self::records(vec![Record::from_rdata(name.clone(), setting.ttl_ceiling, rdata)])
    }

    /// The plugins' records, in their order, which is one of preference. Without any that fits the question: the name
    /// exists and has none.
    pub(crate) fn answers(
        answers: &[Answer],
        name: &Name,
        record_type: RecordType,
        zone: &Zone,
        setting: Setting<'_>,
    ) -> Self {
        let records: Vec<Record> = answers
            .iter()
            .filter_map(|answer| record(answer, name, setting))
            .filter(|record| record.record_type() == record_type)
            .collect();
        if records.is_empty() { Self::no_data(zone, setting) } else { Self::records(records) }
    }

    /// The names within the mesh's domain that the answers point at, as plugins know them, with their full names.
    pub(crate) fn targets(&self, setting: Setting<'_>) -> Vec<(String, Name)> {
        let mut seen = HashSet::new();
        let suffix = format!(".{}.", setting.domain());
        let targets = self.answers.iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(&srv.target),
            _ => None,
        });
        let within = targets.filter_map(|target| {
            let text = target.to_ascii().to_ascii_lowercase();
            let question = text.strip_suffix(&suffix)?.to_owned();
            seen.insert(question.clone()).then(|| (question, target.clone()))
        });
        within.take(ADDITIONAL_TARGETS).collect()
    }

    /// Adds the address records of a target.
    pub(crate) fn add_target(&mut self, target: &Name, outcome: &Outcome, setting: Setting<'_>) {
        let Outcome::Answers(answers) = outcome else { return };
        let records = answers.iter().filter_map(|answer| record(answer, target, setting));
        self.additionals.extend(records.filter(|record| record.record_type() == RecordType::A));
    }

    /// What an upstream said.
    pub(crate) fn forwarded(message: Message) -> Self {
        Self {
            code: message.metadata.response_code,
            authoritative: false,
            authentic: message.metadata.authentic_data,
            truncated: message.metadata.truncation,
            answers: message.answers,
            authority: message.authorities,
            additionals: message.additionals,
        }
    }
}

/// The type of a question, as plugins tell them apart.
pub(crate) fn plugin_type(record_type: RecordType) -> naming::RecordType {
    match record_type {
        RecordType::A => naming::RecordType::A,
        RecordType::AAAA => naming::RecordType::Aaaa,
        RecordType::SRV => naming::RecordType::Srv,
        RecordType::PTR => naming::RecordType::Ptr,
        RecordType::TXT => naming::RecordType::Txt,
        _ => naming::RecordType::Other,
    }
}

/// None if a name does not fit DNS once the mesh's domain is added.
fn record(answer: &Answer, name: &Name, setting: Setting<'_>) -> Option<Record> {
    let full = |text: &str| match text.contains('.') {
        true => absolute(text),
        false => absolute(&format!("{text}.{}", setting.domain())),
    };
    let rdata = match &answer.rdata {
        Rdata::A(address) => RData::A(A(*address)),
        Rdata::Srv { priority, weight, port, target } => RData::SRV(SRV::new(*priority, *weight, *port, full(target)?)),
        Rdata::Ptr(target) => RData::PTR(PTR(full(target)?)),
        Rdata::Txt(texts) => RData::TXT(TXT::new(texts.clone())),
    };
    Some(Record::from_rdata(name.clone(), answer.ttl.min(setting.ttl_ceiling), rdata))
}
