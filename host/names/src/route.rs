//! Whose a question is: the plugins', an upstream's, or nobody's. Pure.

use hickory_proto::rr::{Name, RecordType};

pub use crate::zone::Zone;

/// Whose a question is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `localhost` and what is below it: this host, whatever anybody says (RFC 6761 §6.3).
    Localhost,
    /// The top of a zone of ours: its SOA and NS records.
    Apex(Zone),
    /// A name of ours that only others stand below: it exists, without records.
    Empty(Zone),
    /// A name in a zone of ours that cannot exist.
    Nowhere(Zone),
    /// The plugins'.
    Plugins {
        /// The name as plugins know it: lower case, without final dot and without the mesh's domain.
        question: String,
        /// The zone that answers belong to.
        zone: Zone,
        /// Where it goes if no plugin knows it.
        otherwise: Otherwise,
    },
    /// An upstream's.
    Forward,
}

/// Where a question goes that no plugin knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The name does not exist.
    NoSuchName,
    /// To an upstream.
    Forward,
}

/// Says whose the question for `name` is. `domain`: the mesh's, lower case, without final dot. `is_host`: whether a
/// service has that further host name.
pub fn route(name: &Name, record_type: RecordType, domain: &str, is_host: impl Fn(&str) -> bool) -> Route {
    let Text { text, plain } = text_of(name);
    let text = text.as_str();
    if text.is_empty() {
        return Route::Forward;
    }
    if text == "localhost" || text.ends_with(".localhost") {
        return Route::Localhost;
    }
    if text == domain {
        return Route::Apex(Zone::Domain);
    }
    if let Some(question) = below(text, domain) {
        // A name that was qualified already and got the search domain on top is nobody's.
        if !plain || question.ends_with(".arpa") {
            return Route::Nowhere(Zone::Domain);
        }
        return plugins(question, Zone::Domain, Otherwise::NoSuchName);
    }
    if let Some(route) = reverse(text) {
        return route;
    }
    let host = without_service_labels(text);
    if !host.contains('.') {
        return bare(text, plain, record_type, domain);
    }
    if plain && is_host(host) {
        return plugins(text, Zone::Host(host.to_owned()), Otherwise::Forward);
    }
    Route::Forward
}

fn plugins(question: &str, zone: Zone, otherwise: Otherwise) -> Route {
    Route::Plugins { question: question.to_owned(), zone, otherwise }
}

/// A name without dots is never sent on: it is a name of this mesh or none, and what somebody mistyped is nobody
/// else's business. Except for what only a zone has: validating resolvers ask for the keys of top-level domains.
fn bare(text: &str, plain: bool, record_type: RecordType, domain: &str) -> Route {
    if below(domain, text).is_some() {
        return Route::Empty(Zone::Bare);
    }
    let of_a_zone = matches!(record_type, RecordType::DS | RecordType::DNSKEY | RecordType::NS | RecordType::SOA);
    match (plain, of_a_zone) {
        (true, true) => plugins(text, Zone::Bare, Otherwise::Forward),
        (true, false) => plugins(text, Zone::Bare, Otherwise::NoSuchName),
        (false, _) => Route::Nowhere(Zone::Bare),
    }
}

/// The 64 zones that make up 100.64.0.0/10 backwards.
fn reverse(text: &str) -> Option<Route> {
    let labels: Vec<&str> = text.strip_suffix(".100.in-addr.arpa")?.split('.').collect();
    let octet: u8 = octet(labels.last()?)?;
    if !(64..=127).contains(&octet) {
        return None;
    }
    let zone = Zone::Reverse(octet);
    let valid = labels.iter().all(|label| self::octet(label).is_some());
    Some(match labels.len() {
        1 => Route::Apex(zone),
        2 if valid => Route::Empty(zone),
        3 if valid => plugins(text, zone, Otherwise::NoSuchName),
        _ => Route::Nowhere(zone),
    })
}

fn octet(label: &str) -> Option<u8> {
    let canonical = label == "0" || !label.starts_with(['0', '+']);
    label.parse().ok().filter(|_| canonical)
}

/// `postgres` of `postgres.mesh.internal`.
fn below<'a>(text: &'a str, domain: &str) -> Option<&'a str> {
    text.strip_suffix(domain)?.strip_suffix('.').filter(|rest| !rest.is_empty())
}

/// `api` of `_http._tcp.api`.
fn without_service_labels(mut text: &str) -> &str {
    while let Some((first, rest)) = text.split_once('.')
        && first.starts_with('_')
    {
        text = rest;
    }
    text
}

struct Text {
    /// Lower case, without final dot; `?` for each byte that no host or service name has.
    text: String,
    /// Whether there was none such.
    plain: bool,
}

fn text_of(name: &Name) -> Text {
    let mut text = String::with_capacity(name.len());
    let mut plain = true;
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(*byte)),
                b'A'..=b'Z' => text.push(char::from(byte.to_ascii_lowercase())),
                _ => {
                    text.push('?');
                    plain = false;
                }
            }
        }
    }
    Text { text, plain }
}
