//! A table of names that stands for the plugins. It is a double: what real plugins answer is not tested here.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use servos_mesh::Snapshot;
use servos_names::Resolve;
use servos_sandbox::naming::{Answer, Keep, Outcome, Question, Rdata, RecordType, Resolved};
use tokio::sync::watch;

pub struct NamesTable {
    outcomes: Mutex<HashMap<(String, RecordType), Outcome>>,
    /// Names that exist: NODATA for other types.
    changes: watch::Sender<u64>,
    pub calls: AtomicUsize,
    /// How long everything may be kept.
    pub keep: Mutex<Keep>,
    pub asked: Mutex<Vec<Question>>,
}

impl NamesTable {
    pub fn new() -> Self {
        Self {
            outcomes: Mutex::default(),
            changes: watch::Sender::new(0),
            calls: AtomicUsize::new(0),
            keep: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// `postgres`, `api` with SRV, `s1` and `s2` with PTR, `big` with 64 addresses, `broken`, `sloppy` (an address, and
    /// "pass" for all else), `api.example.org`.
    pub fn example() -> Self {
        let a = |address: &str| answer(600, Rdata::A(address.parse().unwrap()));
        let srv =
            |target: &str, port| answer(5, Rdata::Srv { priority: 0, weight: 100, port, target: target.to_owned() });
        let big = (1..=64).map(|last| answer(5, Rdata::A(Ipv4Addr::new(100, 64, 1, 65 - last)))).collect();
        Self::new()
            .with("postgres", RecordType::A, Outcome::Answers(vec![a("100.64.0.2"), a("100.64.0.1")]))
            .with(
                "postgres",
                RecordType::Txt,
                Outcome::Answers(vec![answer(5, Rdata::Txt(vec!["a b".into(), "c".into()]))]),
            )
            .with("api", RecordType::A, Outcome::Answers(vec![a("100.64.0.1")]))
            .with("api.example.org", RecordType::A, Outcome::Answers(vec![a("100.64.0.1")]))
            .with("_http._tcp.api", RecordType::Srv, Outcome::Answers(vec![srv("s2", 8080), srv("s1", 8081)]))
            .with("s1", RecordType::A, Outcome::Answers(vec![a("100.64.0.1")]))
            .with("s2", RecordType::A, Outcome::Answers(vec![a("100.64.0.2")]))
            .with(
                "2.0.64.100.in-addr.arpa",
                RecordType::Ptr,
                Outcome::Answers(vec![answer(5, Rdata::Ptr("s2".into()))]),
            )
            .with("big", RecordType::A, Outcome::Answers(big))
            .with("broken", RecordType::A, Outcome::Failed)
            .with("broken", RecordType::Aaaa, Outcome::Failed)
            .with("sloppy", RecordType::A, Outcome::Answers(vec![a("100.64.0.1")]))
            .with("sloppy", RecordType::Aaaa, Outcome::Pass)
            .with("gone", RecordType::A, Outcome::NoSuchName)
    }

    pub fn with(self, name: &str, record_type: RecordType, outcome: Outcome) -> Self {
        self.set(name, record_type, outcome);
        self
    }

    pub fn set(&self, name: &str, record_type: RecordType, outcome: Outcome) {
        self.outcomes.lock().insert((name.to_owned(), record_type), outcome);
    }

    /// As when a plugin was swapped.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Resolve for NamesTable {
    fn resolve(&self, _mesh: &Arc<Snapshot>, question: &Question) -> Outcome {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().push(question.clone());
        let outcomes = self.outcomes.lock();
        if let Some(outcome) = outcomes.get(&(question.name.clone(), question.record_type)) {
            return outcome.clone();
        }
        let exists = outcomes
            .iter()
            .any(|((name, _), outcome)| *name == question.name && matches!(outcome, Outcome::Answers(_)));
        if exists { Outcome::NoData } else { Outcome::Pass }
    }

    fn resolve_to_keep(&self, mesh: &Arc<Snapshot>, question: &Question) -> Resolved {
        Resolved { outcome: self.resolve(mesh, question), keep: *self.keep.lock() }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

pub fn answer(ttl: u32, rdata: Rdata) -> Answer {
    Answer { ttl, rdata }
}
