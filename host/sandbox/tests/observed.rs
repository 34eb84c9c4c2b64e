//! What is told of a plugin: its calls and how long they took, its faults by kind, its memory; and the end of a quarantine.

#![cfg(test)]

mod common;

use common::guest::{CANNED, Naming};
use common::{host, load, mesh, question, status};
use servos_sandbox::limits::{LATENCY_BOUNDS, QUARANTINE_FAULTS};
use servos_sandbox::naming::RecordType;
use servos_sandbox::{FaultCounts, PluginHost, ResetError, State};

/// Traps on TXT, loops on PTR, answers nonsense on SRV, and takes three pages more on AAAA.
fn erring() -> Vec<u8> {
    let on = |tag: u32, code: &str| format!("(if (i32.eq (local.get $type) (i32.const {tag})) (then {code}))");
    let resolve = [
        on(4, "unreachable"),
        on(3, "(loop $again (br $again))"),
        on(2, "(return (i32.const 512))"),
        on(1, "(drop (memory.grow (i32.const 3)))"),
        CANNED.to_owned(),
    ];
    // At 512: `answers`, none.
    let configure = "(i32.store (i32.const 512) (i32.const 3)) (i32.const 16)";
    Naming { resolve: resolve.concat(), configure: configure.into(), ..Naming::default() }.component()
}

#[test]
fn faults_calls_and_memory_are_counted() {
    let plugin = load(&erring(), "[limits]\ndeadline_ms = 10");
    let ask = |record_type| plugin.resolve(&mesh::snapshot(), &question("api", record_type));
    assert_eq!(plugin.memory_peak(), 4 << 16);
    ask(RecordType::Aaaa).unwrap();
    assert_eq!(plugin.memory_peak(), 7 << 16);
    ask(RecordType::Txt).unwrap_err();
    common::wait_for("the end of the rest after one fault", || ask(RecordType::Ptr).is_err() && plugin.faults().0 == 2);
    common::wait_for("the end of the rest after two", || ask(RecordType::Srv).is_err() && plugin.faults().0 == 3);
    let counts = FaultCounts { trap: 1, deadline: 1, answer: 1, ..FaultCounts::default() };
    assert_eq!(plugin.faults_by_kind(), counts);

    let latency = plugin.latency();
    assert_eq!(latency.count, plugin.calls());
    assert_eq!(latency.buckets.len(), LATENCY_BOUNDS.len());
    assert!(latency.buckets.is_sorted_by(|a, b| a.le_seconds < b.le_seconds && a.count <= b.count), "{latency:?}");
    let within = |seconds: f64| latency.buckets.iter().find(|bucket| bucket.le_seconds == seconds).unwrap().count;
    assert!(within(0.005) < latency.count, "the loop took 10 ms: {latency:?}");
    assert!(latency.sum_seconds >= 0.01, "{latency:?}");
}

#[test]
fn a_reset_ends_a_quarantine() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path(), vec![("bad", Naming::on_txt("unreachable"))]);
    let state = || status(&host, "bad").unwrap().state;
    let ask = |host: &PluginHost| host.resolve(&mesh::snapshot(), &question("api", RecordType::Txt));
    common::wait_for("quarantine", || {
        ask(&host);
        matches!(state(), State::Quarantined(_))
    });
    assert!(status(&host, "bad").unwrap().problem().unwrap().contains("servos-agent plugin reset bad"));
    let changes = host.changes();
    host.reset("bad").unwrap();
    assert_eq!(state(), State::Running);
    assert!(changes.has_changed().unwrap(), "answers that others gave in its place are not kept");
    ask(&host);
    assert_eq!(status(&host, "bad").unwrap().faults, QUARANTINE_FAULTS as u64 + 1, "it is asked again");
    assert_eq!(host.reset("good"), Err(ResetError::Unknown("good".into())));
}
