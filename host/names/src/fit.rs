//! How much of a reply fits into a message, with room for its OPT record, which the encoder writes last and would cut.

use hickory_proto::op::{MessageType, Metadata, OpCode};
use hickory_proto::rr::rdata::{CNAME, PTR};
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};

use crate::reply::Reply;

/// Bytes of an OPT record without options (RFC 6891 §6.1.2).
const OPT_BYTES: u16 = 11;

/// The parts of a reply that are sent.
#[derive(Debug)]
pub(crate) struct Fitted<'a> {
    pub answers: &'a [Record],
    pub authority: &'a [Record],
    pub additionals: &'a [Record],
    /// Whether answers or authority had to be left out: the asker comes back over TCP.
    pub truncated: bool,
}

/// Cuts a reply to `limit` bytes. Additional records go without a word: nobody asked for them.
pub(crate) fn fit<'a>(reply: &'a Reply, queries: &Queries, limit: u16) -> Fitted<'a> {
    let Reply { answers, authority, additionals, truncated, .. } = reply;
    let whole = Fitted { answers, authority, additionals, truncated: *truncated };
    if fits(&[answers, authority, additionals], queries, limit) {
        return whole;
    }
    if fits(&[answers, authority], queries, limit) {
        return Fitted { additionals: &[], ..whole };
    }
    // As many answers as fit: the longest prefix, found by halving.
    let (mut fitting, mut too_many) = (0, answers.len() + 1);
    while too_many - fitting > 1 {
        let middle = fitting + (too_many - fitting) / 2;
        if fits(&[&answers[..middle]], queries, limit) { fitting = middle } else { too_many = middle }
    }
    Fitted { answers: &answers[..fitting], authority: &[], additionals: &[], truncated: true }
}

fn fits(sections: &[&[Record]], queries: &Queries, limit: u16) -> bool {
    let limit = limit.saturating_sub(OPT_BYTES);
    let records = || sections.iter().flat_map(|section| section.iter());
    let rough = records().map(roughly).sum::<Option<usize>>();
    if rough.is_some_and(|bytes| bytes + MESSAGE_HEADER + queries.as_bytes().len() <= usize::from(limit)) {
        return true;
    }
    // Names may be compressed: let the encoder say.
    let mut bytes = Vec::with_capacity(usize::from(limit));
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(limit);
    let metadata = Metadata::new(0, MessageType::Response, OpCode::Query);
    let response = MessageResponseBuilder::new(queries, None).build(metadata, records(), [], [], []);
    response.destructive_emit(&mut encoder).is_ok_and(|info| !info.truncation)
}

/// Bytes of a message's header (RFC 1035 §4.1.1).
const MESSAGE_HEADER: usize = 12;

/// Bytes of a record beside its name and data (RFC 1035 §4.1.3).
const RECORD_HEADER: usize = 10;

/// Bytes that a record takes at most; none for what is seldom.
fn roughly(record: &Record) -> Option<usize> {
    let data = match &record.data {
        RData::A(_) => 4,
        RData::AAAA(_) => 16,
        RData::SRV(srv) => 6 + encoded(&srv.target),
        RData::PTR(PTR(name)) | RData::CNAME(CNAME(name)) => encoded(name),
        RData::SOA(soa) => 20 + encoded(&soa.mname) + encoded(&soa.rname),
        _ => return None,
    };
    Some(encoded(&record.name) + RECORD_HEADER + data)
}

/// Bytes of a name that is not compressed: a length before each label, and the root's.
fn encoded(name: &Name) -> usize {
    name.iter().map(|label| 1 + label.len()).sum::<usize>() + 1
}
