//! Guests that trap, hang, grow, flood and lie: each is stopped within its limits, and the next call finds a sound instance.

#![cfg(test)]

mod common;

use std::time::Instant;

use common::guest::{self, CANNED, Naming};
use common::{host, load, mesh, question};
use servos_hostile_guests::InAgent;
use servos_hostile_guests::answers;
use servos_hostile_guests::answers::a_records;
use servos_sandbox::limits::TABLE_ELEMENTS;
use servos_sandbox::naming::{Answer, Outcome, Rdata, RecordType};
use servos_sandbox::policy::{LocalInstance, PolicyContext, Transport};
use servos_sandbox::validate::AnswerError;
use servos_sandbox::weighting::Candidate;
use servos_sandbox::{Fault, Kind, Manifest, Plugin, Sandbox, State, Unanswered};

/// A guest that does `code` when asked for TXT, and answers other questions with one A record whose TTL counts its calls.
fn counting_guest(code: &str) -> Vec<u8> {
    let resolve = format!(
        "(if (i32.eq (local.get $type) (i32.const 4)) (then {code}))
         (i32.store (i32.const 1036) (i32.add (i32.load (i32.const 1036)) (i32.const 1)))
         {CANNED}"
    );
    Naming { resolve, answer: a_records(0, &[[100, 64, 0, 2]]), ..Naming::default() }.component()
}

/// What a TXT question ends in; and the TTLs of the A answers before and after it.
fn fault_of(wasm: &[u8], manifest: &str) -> (Unanswered, u32, u32) {
    let plugin = load(wasm, manifest);
    let mesh = mesh::snapshot();
    let ttl = || match plugin.resolve(&mesh, &question("api", RecordType::A)) {
        Ok(Outcome::Answers(answers)) => answers[0].ttl,
        other => panic!("no answer to an innocent question: {other:?}"),
    };
    let before = ttl();
    let fault = plugin.resolve(&mesh, &question("api", RecordType::Txt)).unwrap_err();
    (fault, before, ttl())
}

#[test]
fn a_trap_costs_one_call_and_the_instance() {
    let (fault, before, after) = fault_of(&counting_guest("unreachable"), "");
    let Unanswered::Fault(Fault::Trap(message)) = fault else { panic!("{fault:?}") };
    assert!(message.contains("unreachable"), "{message}");
    // One count was spent on the trial; a fresh instance starts anew.
    assert_eq!((before, after), (2, 1));
}

#[test]
fn a_loop_ends_at_the_deadline() {
    let began = Instant::now();
    let (fault, _, after) = fault_of(&counting_guest("(loop $again (br $again))"), "[limits]\ndeadline_ms = 20");
    assert_eq!(fault, Unanswered::Fault(Fault::Deadline(std::time::Duration::from_millis(20))));
    assert_eq!(after, 1);
    assert!(began.elapsed().as_millis() >= 20);
}

#[test]
fn a_loop_ends_at_the_deadline_after_a_quiet_spell_too() {
    let plugin = load(&Naming::on_txt("(loop $again (br $again))"), "");
    // The clock of the deadlines goes to sleep.
    std::thread::park_timeout(servos_sandbox::limits::TICKER_IDLE * 2);
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(plugin.resolve(&mesh::snapshot(), &question("api", RecordType::Txt))));
    let fault = result.recv_timeout(std::time::Duration::from_secs(60)).expect("a call that ends").unwrap_err();
    assert!(matches!(fault, Unanswered::Fault(Fault::Deadline(_))), "{fault:?}");
}

#[test]
fn memory_ends_at_its_ceiling() {
    let grow = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let (fault, ..) = fault_of(&counting_guest(grow), "[limits]\nmemory_mib = 3");
    assert_eq!(fault, Unanswered::Fault(Fault::Memory { mib: 3 }));
}

#[test]
fn a_guest_that_starts_above_its_ceiling_is_refused() {
    let wasm = Naming { pages: 64, ..Naming::default() }.component();
    let sandbox = Sandbox::new(None).unwrap();
    let manifest = Manifest::parse("[limits]\nmemory_mib = 3").unwrap();
    let error = sandbox.load("big", &wasm, &manifest).unwrap_err();
    assert_eq!(error, servos_sandbox::LoadError::Start(Fault::Memory { mib: 3 }));
    sandbox.load("big", &wasm, &Manifest::parse("[limits]\nmemory_mib = 4").unwrap()).unwrap();
}

#[test]
fn tables_end_at_their_ceiling() {
    let growing = |elements: usize| {
        let grow = format!("(table.grow $table (ref.null func) (i32.const {elements}))");
        let refused = format!("(if (i32.eq {grow} (i32.const -1)) (then unreachable))");
        let resolve = format!("(if (i32.eq (local.get $type) (i32.const 4)) (then {refused})) {CANNED}");
        let guest = Naming { resolve, imports: "(table $table 1 funcref)".into(), ..Naming::default() };
        load(&guest.component(), "").resolve(&mesh::snapshot(), &question("api", RecordType::Txt))
    };
    assert_eq!(growing(TABLE_ELEMENTS - 1), Ok(Outcome::Pass));
    assert!(matches!(growing(TABLE_ELEMENTS), Err(Unanswered::Fault(Fault::Trap(_)))));
}

#[test]
fn a_pointer_outside_memory_is_a_fault() {
    let (fault, ..) = fault_of(&counting_guest("(return (i32.const 0x7fff0000))"), "");
    assert!(matches!(fault, Unanswered::Fault(Fault::Trap(_))), "{fault:?}");
}

#[test]
fn an_answer_that_is_too_long_to_copy_is_a_fault() {
    // 2 MiB of text records, all the same bytes: tag 3 (answers), pointer, length.
    let code = "(i32.store (i32.const 512) (i32.const 3))
                (i32.store (i32.const 516) (i32.const 65536))
                (i32.store (i32.const 520) (i32.const 90000))
                (return (i32.const 512))";
    let resolve = format!("(if (i32.eq (local.get $type) (i32.const 4)) (then {code})) {CANNED}");
    let wasm = Naming { resolve, answer: a_records(0, &[[100, 64, 0, 2]]), pages: 40, ..Naming::default() }.component();
    let plugin = load(&wasm, "");
    let fault = plugin.resolve(&mesh::snapshot(), &question("api", RecordType::Txt)).unwrap_err();
    assert!(matches!(fault, Unanswered::Fault(Fault::Trap(_))), "{fault:?}");
}

#[test]
fn a_flood_of_log_lines_is_cut_and_bounded() {
    let resolve = format!(
        "(local.set $at (i32.const 2000))
         (loop $again
           (call $log (i32.const 1) (i32.const 1024) (i32.const 3000))
           (local.set $at (i32.sub (local.get $at) (i32.const 1)))
           (br_if $again (local.get $at)))
         {CANNED}"
    );
    let imports = r#"(import "servos:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#.to_owned();
    let mut answer = vec![0; 12];
    answer.extend([b'x'; 2_000]);
    let wasm = Naming { resolve, imports, answer, ..Naming::default() }.component();
    // Loading asks the first question.
    let log = load(&wasm, "[limits]\ndeadline_ms = 2000").log();
    assert_eq!(log.len(), servos_sandbox::limits::LOG_TAIL);
    assert!(log.iter().all(|line| line.message.len() <= servos_sandbox::limits::LOG_LINE));
    assert!(log[0].message.starts_with("\\u{0}") && log[0].message.contains("xxxx"), "{:?}", log[0].message);
}

#[test]
fn a_log_line_that_is_too_long_to_copy_is_a_fault() {
    let resolve = format!("(call $log (i32.const 1) (i32.const 0) (i32.const 2000000)) {CANNED}");
    let imports = r#"(import "servos:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#.to_owned();
    let wasm = Naming { resolve, imports, pages: 40, ..Naming::default() }.component();
    let sandbox = Sandbox::new(None).unwrap();
    let error = sandbox.load("flood", &wasm, &Manifest::default()).unwrap_err();
    assert!(matches!(error, servos_sandbox::LoadError::Trial(Unanswered::Fault(Fault::Trap(_)))), "{error:?}");
}

#[test]
fn answers_outside_the_mesh_are_faults_that_say_what_was_wrong() {
    let plugin = |answer| load(&Naming { resolve: skipping_trial(), answer, ..Naming::default() }.component(), "");
    let mesh = mesh::snapshot();
    let ask = |answer, record_type| plugin(answer).resolve(&mesh, &question("api", record_type));
    let wrong = |error| Err(Unanswered::Fault(Fault::Answer(error)));
    assert_eq!(ask(a_records(1, &[[8, 8, 8, 8]]), RecordType::A), wrong(AnswerError::Address([8, 8, 8, 8].into())));
    assert_eq!(
        ask(a_records(1, &[[100, 64, 0, 77]]), RecordType::A),
        wrong(AnswerError::Address([100, 64, 0, 77].into()))
    );
    assert_eq!(ask(a_records(1, &[]), RecordType::A), wrong(AnswerError::AnswerCount(0)));
    assert_eq!(ask(a_records(1, &[[100, 64, 0, 1]; 65]), RecordType::A), wrong(AnswerError::AnswerCount(65)));
    assert_eq!(
        ask(a_records(1, &[[100, 64, 0, 1]]), RecordType::Srv),
        wrong(AnswerError::RecordType { asked: RecordType::Srv, answered: RecordType::A })
    );
    assert_eq!(ask(guest::target_record(answers::SRV, 0, "s1"), RecordType::Srv), wrong(AnswerError::SrvPort));
    assert!(ask(guest::target_record(answers::PTR, 0, "not a name"), RecordType::Ptr).is_err());
    // Well-formed ones pass, the TTL is lowered, and names are brought into one form.
    let answer = |ttl, rdata| Ok(Outcome::Answers(vec![Answer { ttl, rdata }]));
    assert_eq!(ask(a_records(9_999, &[[100, 64, 0, 3]]), RecordType::A), answer(60, Rdata::A([100, 64, 0, 3].into())));
    assert_eq!(ask(a_records(7, &[[100, 64, 0, 9]]), RecordType::A), answer(7, Rdata::A([100, 64, 0, 9].into())));
    assert_eq!(
        ask(guest::target_record(answers::PTR, 0, "S1.Mesh.Internal."), RecordType::Ptr),
        answer(5, Rdata::Ptr("s1.mesh.internal".into()))
    );
    assert_eq!(
        ask(guest::target_record(answers::SRV, 80, "s2"), RecordType::Srv),
        answer(5, Rdata::Srv { priority: 1, weight: 2, port: 80, target: "s2".into() })
    );
}

/// Passes the trial (whose name has 13 bytes), answers all else.
fn skipping_trial() -> String {
    format!("(if (i32.eq (local.get $length) (i32.const 13)) (then (return (i32.const 16)))) {CANNED}")
}

/// The conformance kit's guests, each with one fault.
#[test]
fn every_guest_with_a_fault_is_refused_or_fails_in_words_or_is_harmless() {
    let sandbox = Sandbox::new(None).unwrap();
    for guest in servos_hostile_guests::all() {
        let loaded = sandbox.load(guest.fault, &guest.wasm, &Manifest::default());
        let said = match (&guest.in_agent, loaded) {
            (InAgent::Refused(why), Err(error)) => (Some(*why), vec![error.to_string()]),
            (InAgent::Faults(what), Ok(plugin)) => (Some(*what), faults(&plugin)),
            (InAgent::LeftOut(_) | InAgent::Unseen, Ok(plugin)) => (None, faults(&plugin)),
            (expected, loaded) => panic!("{}: {loaded:?} instead of {expected:?}", guest.fault),
        };
        match said {
            (Some(what), texts) => {
                assert!(texts.iter().any(|text| text.contains(what)), "{}: {what:?} is not in {texts:?}", guest.fault);
            }
            (None, texts) => assert_eq!(texts, Vec::<String>::new(), "{}", guest.fault),
        }
    }
}

/// What goes wrong when a plugin is asked about `api`, as the agent asks it.
fn faults(plugin: &Plugin) -> Vec<String> {
    let mesh = mesh::snapshot();
    let types = [RecordType::A, RecordType::Srv, RecordType::Ptr, RecordType::Txt];
    let service = mesh.table.service("api").unwrap();
    let candidates: Vec<_> =
        service.instances.iter().map(|&instance| Candidate { instance, current_weight: None }).collect();
    let instances = vec![LocalInstance { service: "api".into(), transport: Transport::Tcp, port: 8_080 }];
    let context = PolicyContext { wireguard_port: 51_820, interface: "wg0".into(), instances, proxy_ports: Vec::new() };
    let answered: Vec<Result<(), Unanswered>> = match plugin.kind() {
        Kind::Naming => types.map(|asked| plugin.resolve(&mesh, &question("api", asked)).map(drop)).to_vec(),
        Kind::Weighting => vec![plugin.weigh(&mesh, service, &candidates).map(drop)],
        Kind::Policy => vec![plugin.rules(&mesh, &context).map(drop)],
    };
    answered.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect()
}

#[test]
fn repeated_faults_set_a_plugin_aside_and_the_rest_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let resolve =
        format!("(if (i32.eq (local.get $type) (i32.const 4)) (then (return (i32.const 16)))) {}", skipping_trial());
    let good = Naming { resolve, answer: a_records(3, &[[100, 64, 0, 2]]), ..Naming::default() }.component();
    let host = host(root.path(), vec![("bad", Naming::on_txt("unreachable")), ("good", good)]);
    let mesh = mesh::snapshot();
    let bad = || common::status(&host, "bad").unwrap();
    let answered = Outcome::Answers(vec![Answer { ttl: 3, rdata: Rdata::A([100, 64, 0, 2].into()) }]);
    common::wait_for("quarantine", || {
        assert_eq!(host.resolve(&mesh, &question("api", RecordType::A)), answered);
        // `good` passes, and `bad` may have known the name.
        assert_eq!(host.resolve(&mesh, &question("api", RecordType::Txt)), Outcome::Failed);
        matches!(bad().state, State::Quarantined(_))
    });
    assert_eq!(bad().faults, servos_sandbox::limits::QUARANTINE_FAULTS as u64);
    assert!(bad().problem().unwrap().contains("unreachable"), "{:?}", bad());
    let calls = bad().calls;
    assert_eq!(host.resolve(&mesh, &question("api", RecordType::A)), answered);
    assert_eq!(bad().calls, calls, "a plugin in quarantine is not called");
    assert_eq!(common::status(&host, "good").unwrap().faults, 0);
}
