//! Answers as a guest lays them out in its memory, at [`ANSWER`] (component model, canonical ABI).

use crate::code::ANSWER;

/// Tag of `answers` in `outcome`.
const ANSWERS: usize = 3;

/// Bytes of an `answer`: TTL, tag and the longest record.
const RECORD: usize = 24;

/// Bytes before the first record: tag, pointer, length.
const HEAD: usize = 12;

/// Tag of `srv` in `rdata`.
pub const SRV: u32 = 1;

/// Tag of `ptr` in `rdata`.
pub const PTR: u32 = 2;

/// Tag of `txt` in `rdata`.
const TXT: u32 = 3;

/// An answer of that many A records.
pub fn a_records(ttl: u32, addresses: &[[u8; 4]]) -> Vec<u8> {
    records(addresses.iter().map(|address| [&ttl.to_le_bytes()[..], &word(0), address].concat()))
}

/// An answer of one PTR or SRV record, whose target may be no text.
pub fn target_record(tag: u32, port: u16, target: &[u8]) -> Vec<u8> {
    let mut record = [5_u32.to_le_bytes(), tag.to_le_bytes()].concat();
    if tag == SRV {
        record.extend([1, 0, 2, 0]);
        record.extend(port.to_le_bytes());
        record.extend([0, 0]);
    }
    record.extend(word(ANSWER + HEAD + RECORD));
    record.extend(word(target.len()));
    [records([record].into_iter()), target.to_vec()].concat()
}

/// An answer of one TXT record.
pub fn text_record(texts: &[&str]) -> Vec<u8> {
    let list = ANSWER + HEAD + RECORD;
    let record = [5_u32.to_le_bytes(), TXT.to_le_bytes(), word(list), word(texts.len())].concat();
    let mut answer = records([record].into_iter());
    let mut at = list + 8 * texts.len();
    for text in texts {
        answer.extend(word(at));
        answer.extend(word(text.len()));
        at += text.len();
    }
    texts.iter().for_each(|text| answer.extend(text.as_bytes()));
    answer
}

/// `answers` with whatever pointer and length, and nothing behind.
pub fn answers_at(pointer: usize, length: usize) -> Vec<u8> {
    [word(ANSWERS), word(pointer), word(length)].concat()
}

/// A list with whatever pointer and length, and nothing behind.
pub fn list_at(pointer: usize, length: usize) -> Vec<u8> {
    [word(pointer), word(length)].concat()
}

/// What a rule does, to what.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// 0 allow, 1 deny, 2 limit.
    pub action: u8,
    /// 0 TCP, 1 UDP, 2 any.
    pub transport: u8,
    /// First and last port.
    pub ports: (u16, u16),
    /// Where from.
    pub source: Source,
    /// Why.
    pub reason: &'static str,
}

/// Where the traffic of a rule comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Anywhere.
    Anywhere,
    /// The mesh.
    Mesh,
    /// Address and prefix length.
    Network([u8; 4], u8),
}

/// A policy's answer.
pub fn rules(rules: &[Rule]) -> Vec<u8> {
    const RULE: usize = 20;
    let list = ANSWER + 8;
    let mut answer = list_at(list, rules.len());
    let mut text = list + rules.len() * RULE;
    for rule in rules {
        answer.extend([rule.action, rule.transport]);
        answer.extend(rule.ports.0.to_le_bytes());
        answer.extend(rule.ports.1.to_le_bytes());
        answer.extend(match rule.source {
            Source::Anywhere => [0; 6],
            Source::Mesh => [1, 0, 0, 0, 0, 0],
            Source::Network([a, b, c, d], prefix_length) => [2, a, b, c, d, prefix_length],
        });
        answer.extend(word(text));
        answer.extend(word(rule.reason.len()));
        text += rule.reason.len();
    }
    rules.iter().for_each(|rule| answer.extend(rule.reason.as_bytes()));
    answer
}

/// `answers` of those records.
fn records(records: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut answer = answers_at(ANSWER + HEAD, records.len());
    for mut record in records {
        record.resize(RECORD, 0);
        answer.extend(record);
    }
    answer
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("an address in a guest's memory").to_le_bytes()
}
