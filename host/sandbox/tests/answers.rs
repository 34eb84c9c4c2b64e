//! The validator: whatever passes it keeps every promise that the host makes of it, and what is sound passes.

mod common;

use std::net::Ipv4Addr;

use common::mesh;
use proptest::option;
use proptest::prelude::*;
use servos_mesh::HostName;
use servos_sandbox::bindings::naming::{Answer as RawAnswer, Outcome as RawOutcome, Rdata as RawRdata, Srv};
use servos_sandbox::bindings::policy as raw;
use servos_sandbox::limits::{MAX_ANSWERS, MAX_REASON_BYTES, MAX_RULES, MAX_TTL, MAX_TXT, MAX_TXT_RECORD};
use servos_sandbox::naming::{Outcome, Rdata, RecordType};
use servos_sandbox::policy::Source;
use servos_sandbox::validate;

fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{1,10}", "[A-Za-z0-9.-]{0,260}", ".{0,20}", "([a-z]{1,5}\\.){1,5}"]
}

fn addresses() -> impl Strategy<Value = (u8, u8, u8, u8)> {
    prop_oneof![any::<(u8, u8, u8, u8)>(), (0_u8..12).prop_map(|last| (100, 64, 0, last))]
}

fn rdata() -> impl Strategy<Value = RawRdata> {
    let srv = (any::<u16>(), any::<u16>(), 0_u16..3, names());
    prop_oneof![
        addresses().prop_map(RawRdata::A),
        srv.prop_map(|(priority, weight, port, target)| RawRdata::Srv(Srv { priority, weight, port, target })),
        names().prop_map(RawRdata::Ptr),
        prop::collection::vec("[ -~]{0,260}", 0..6).prop_map(RawRdata::Txt),
    ]
}

fn record_types() -> impl Strategy<Value = RecordType> {
    prop::sample::select(vec![
        RecordType::A,
        RecordType::Aaaa,
        RecordType::Srv,
        RecordType::Ptr,
        RecordType::Txt,
        RecordType::Other,
    ])
}

fn rules() -> impl Strategy<Value = raw::Rule> {
    let network = (addresses(), 0_u8..40);
    let source = option::of(option::of(network)).prop_map(|source| match source {
        None => raw::Source::Anywhere,
        Some(None) => raw::Source::Mesh,
        Some(Some((address, prefix_length))) => raw::Source::Network(raw::Network { address, prefix_length }),
    });
    let reason = prop_oneof!["[a-z0-9 _./:-]{0,70}", ".{0,10}"];
    (any::<u16>(), any::<u16>(), source, reason).prop_map(|(first, last, source, reason)| raw::Rule {
        action: raw::Action::Allow,
        transport: raw::Transport::Any,
        ports: raw::PortRange { first, last },
        source,
        reason,
    })
}

proptest! {
    #[test]
    fn an_outcome_that_passes_keeps_its_promises(
        answers in prop::collection::vec((any::<u32>(), rdata()), 0..70),
        asked in record_types(),
    ) {
        let mesh = mesh::snapshot();
        let raw = answers.iter().map(|(ttl, rdata)| RawAnswer { ttl: *ttl, rdata: rdata.clone() }).collect();
        let Ok(outcome) = validate::outcome(RawOutcome::Answers(raw), asked, Some(&mesh)) else { return Ok(()) };
        let Outcome::Answers(checked) = outcome else { return Err(TestCaseError::fail("answers became something else")) };
        prop_assert!((1..=MAX_ANSWERS).contains(&checked.len()) && checked.len() == answers.len());
        for answer in checked {
            prop_assert!(answer.ttl <= MAX_TTL);
            match answer.rdata {
                Rdata::A(address) => {
                    let known = [1, 2, 3, 9].map(|last| Ipv4Addr::new(100, 64, 0, last));
                    prop_assert!(asked == RecordType::A && known.contains(&address), "{address}");
                }
                Rdata::Srv { port, target, .. } => {
                    prop_assert!(asked == RecordType::Srv && port != 0 && target.parse::<HostName>().is_ok());
                }
                Rdata::Ptr(target) => prop_assert!(asked == RecordType::Ptr && target.parse::<HostName>().is_ok()),
                Rdata::Txt(texts) => {
                    prop_assert!(asked == RecordType::Txt && !texts.is_empty());
                    prop_assert!(texts.iter().all(|text| text.len() <= MAX_TXT));
                    prop_assert!(texts.iter().map(|text| text.len() + 1).sum::<usize>() <= MAX_TXT_RECORD);
                }
            }
        }
    }

    /// Each record alone: it passes exactly when the rules in words say so.
    #[test]
    fn a_sound_record_passes_and_no_other(rdata in rdata(), asked in record_types(), ttl in any::<u32>()) {
        let mesh = mesh::snapshot();
        let is_name = |name: &str| name.strip_suffix('.').unwrap_or(name).to_lowercase().parse::<HostName>().is_ok() && name.is_ascii();
        let sound = match &rdata {
            RawRdata::A(address) => asked == RecordType::A && [1, 2, 3, 9].map(|last| (100, 64, 0, last)).contains(address),
            RawRdata::Srv(srv) => asked == RecordType::Srv && srv.port > 0 && is_name(&srv.target),
            RawRdata::Ptr(target) => asked == RecordType::Ptr && is_name(target),
            RawRdata::Txt(texts) => {
                asked == RecordType::Txt && !texts.is_empty() && texts.iter().all(|text| text.len() < 256)
                    && texts.iter().map(|text| text.len() + 1).sum::<usize>() <= 1_024
            }
        };
        let answers = vec![RawAnswer { ttl, rdata }];
        prop_assert_eq!(validate::outcome(RawOutcome::Answers(answers), asked, Some(&mesh)).is_ok(), sound);
    }

    #[test]
    fn weights_pass_if_there_is_one_a_candidate_and_none_is_too_high(
        weights in prop::collection::vec(0_u16..1_100, 0..8),
        candidates in 0_usize..8,
    ) {
        let sound = weights.len() == candidates && weights.iter().all(|&weight| weight <= 1_000);
        let checked = validate::weights(weights.clone(), candidates);
        prop_assert_eq!(checked.is_ok(), sound);
        prop_assert!(checked.is_err() || checked.unwrap() == weights);
    }

    #[test]
    fn a_rule_passes_exactly_when_it_is_well_formed(rule in rules()) {
        let ports = rule.ports.first > 0 && rule.ports.first <= rule.ports.last;
        let allowed = |character: char| character.is_ascii_alphanumeric() || " -_./:".contains(character);
        let reason = rule.reason.len() <= MAX_REASON_BYTES && rule.reason.chars().all(allowed);
        let source = match &rule.source {
            raw::Source::Network(network) => {
                let (a, b, c, d) = network.address;
                let bits = u64::from(u32::from_be_bytes([a, b, c, d]));
                network.prefix_length <= 32 && bits % (1 << (32 - network.prefix_length)) == 0
            }
            _ => true,
        };
        let checked = validate::rules(vec![rule.clone()]);
        prop_assert_eq!(checked.is_ok(), ports && reason && source, "{:?}", checked);
        if let Ok(checked) = checked {
            prop_assert_eq!((checked[0].ports.first(), checked[0].ports.last()), (rule.ports.first, rule.ports.last));
            prop_assert_eq!(matches!(checked[0].source, Source::Mesh), matches!(rule.source, raw::Source::Mesh));
        }
    }
}

#[test]
fn more_rules_than_allowed_are_refused() {
    let rule = raw::Rule {
        action: raw::Action::Deny,
        transport: raw::Transport::Tcp,
        ports: raw::PortRange { first: 1, last: 65_535 },
        source: raw::Source::Anywhere,
        reason: String::new(),
    };
    assert!(validate::rules(vec![rule.clone(); MAX_RULES]).is_ok());
    assert!(validate::rules(vec![rule; MAX_RULES + 1]).is_err());
}
