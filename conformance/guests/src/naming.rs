//! Naming plugins that err when they are asked what `api` means.

use crate::answers::{PTR, SRV, a_records, answers_at, target_record, text_record};
use crate::code::{ANSWER, Code, Point};
use crate::{Guest, InAgent};

/// Types of records, as they are asked for.
const A: u32 = 0;
const ASKED_SRV: u32 = 2;
const ASKED_PTR: u32 = 3;
const ASKED_TXT: u32 = 4;

/// Leaves the question to the bytes at [`ANSWER`].
const ANSWERED: &str = "(return (i32.const 1024))";

const LOG: &str = r#"(import "servos:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;

pub(crate) fn guests() -> Vec<Guest> {
    [stopped(), malformed(), untrue(), fickle()].concat()
}

/// Stopped by the limits of a call.
fn stopped() -> Vec<Guest> {
    let flood = "(local.set $at (i32.const 2000))
        (loop $again
          (call $log (i32.const 1) (i32.const 1024) (i32.const 100))
          (br_if $again (local.tee $at (i32.sub (local.get $at) (i32.const 1)))))";
    let grow = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let deeper = "(func $deeper (param i32) (result i32)
        (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))";
    let recursive = on(A, "(drop (call $deeper (i32.const 0)))").before(deeper);
    vec![
        faults("traps", "no-trap", "unreachable", on(A, "unreachable")),
        faults("recurses-for-ever", "no-trap", "call stack exhausted", recursive),
        faults("loops", "deadline", "ran past its deadline", on(A, "(loop $again (br $again))")),
        faults("grows-memory", "memory", "more memory", on(A, grow)),
        unseen("floods-the-log", "log-rate", on(A, flood).before(LOG).component()),
    ]
}

/// Values that are none.
fn malformed() -> Vec<Guest> {
    let trapped = |fault, code: Code| faults(fault, "well-formed", "trapped", code);
    let no_text = target_record(PTR, 0, &[0xff, 0xfe, 0xfd]);
    let long_name = target_record(PTR, 0, &vec![b'a'; 1_500_000]);
    let long_log = "(call $log (i32.const 1) (i32.const 0) (i32.const 0x7fffffff))";
    let long_list = on(ASKED_TXT, ANSWERED).answer(answers_at(65_536, 90_000)).pages(40);
    vec![
        trapped("answers-outside-its-memory", on(A, "(return (i32.const 0x7fff0000))")),
        trapped("lies-about-a-length", on(A, ANSWERED).answer(answers_at(ANSWER, 0x0fff_ffff))),
        trapped("lies-about-a-log-line", on(A, long_log).before(LOG)),
        trapped("lists-at-odd-places", on(A, ANSWERED).answer(answers_at(ANSWER + 13, 1))),
        trapped("says-no-utf-8", on(ASKED_PTR, ANSWERED).answer(no_text)),
        trapped("says-what-is-no-outcome", on(A, ANSWERED).answer(vec![9; 12])),
        faults("answers-at-length", "answer-size", "trapped", long_list),
        faults("names-at-length", "answer-size", "trapped", on(ASKED_PTR, ANSWERED).answer(long_name).pages(40)),
    ]
}

/// Answers that no naming plugin may give.
fn untrue() -> Vec<Guest> {
    let nonsense = |fault, check, said, asked, answer| faults(fault, check, said, on(asked, ANSWERED).answer(answer));
    let address = |fault, said, address| nonsense(fault, "answer-address", said, A, a_records(5, &[address]));
    let texts = |fault, texts: &[&str]| nonsense(fault, "answer-txt", "TXT", ASKED_TXT, text_record(texts));
    let name = |fault, asked, tag, target: &[u8]| {
        nonsense(fault, "answer-name", "no DNS label", asked, target_record(tag, 80, target))
    };
    let count =
        |fault, said, count| nonsense(fault, "answer-count", said, A, a_records(5, &vec![[100, 64, 0, 1]; count]));
    let srv = target_record(SRV, 0, b"s1");
    let other_type = a_records(5, &[[100, 64, 0, 1]]);
    vec![
        count("answers-with-nothing", "0 answers", 0),
        count("answers-too-often", "65 answers", 65),
        nonsense("answers-another-type", "answer-type", "type A to a question for Txt", ASKED_TXT, other_type),
        address("answers-a-stranger", "8.8.8.8", [8, 8, 8, 8]),
        address("answers-nobodys-address", "100.127.255.254", [100, 127, 255, 254]),
        name("points-to-no-name", ASKED_PTR, PTR, b"not a name"),
        name("locates-at-a-long-name", ASKED_SRV, SRV, &[b'a'; 300]),
        nonsense("locates-at-port-0", "answer-srv", "port 0", ASKED_SRV, srv),
        texts("says-too-much", &[&"x".repeat(256)]),
        texts("says-nothing", &[]),
        unseen("knows-everybody", "nobodys-name", on_each_txt(ANSWERED).answer(text_record(&["here"])).component()),
    ]
}

/// Other answers to the same question: no data, or not its name.
fn fickle() -> Vec<Guest> {
    let no_data_if = |condition: &str| {
        format!("(i32.store8 (i32.const 520) (i32.shl {condition} (i32.const 1))) (return (i32.const 520))")
    };
    let count = format!(
        "(i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1))) {}",
        no_data_if("(i32.and (i32.load (i32.const 512)) (i32.const 1))")
    );
    // The length of the first name that it was asked for a text of.
    let remember = format!(
        "(if (i32.eqz (i32.load (i32.const 512))) (then (i32.store (i32.const 512) (local.get $length)))) {}",
        no_data_if("(i32.eq (i32.load (i32.const 512)) (local.get $length))")
    );
    let random = on_each_txt(&no_data_if("(i32.and (i32.wrap_i64 (call $random)) (i32.const 1))"))
        .before(r#"(import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#);
    let clock = on_each_txt(&format!(
        "(call $now (i32.const 512)) {}",
        no_data_if("(i32.and (i32.load (i32.const 512)) (i32.const 1))")
    ))
    .before(r#"(import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32)))"#);
    vec![
        unseen("counts-its-calls", "same-again", on(ASKED_TXT, &count).component()),
        unseen("draws-lots", "same-again", random.component_importing(&[RANDOM], &["wasi:random/random@0.2.0"])),
        unseen("remembers-its-first-question", "same-elsewhere", on_each_txt(&remember).component()),
        unseen("tells-the-time", "same-later", clock.component_importing(&[CLOCKS], &["wasi:clocks/wall-clock@0.2.0"])),
    ]
}

const RANDOM: &str = "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }";
const CLOCKS: &str = "package wasi:clocks@0.2.0;
    interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }";

fn faults(fault: &'static str, check: &'static str, said: &'static str, code: Code) -> Guest {
    Guest { fault, check, in_agent: InAgent::Faults(said), wasm: code.component() }
}

fn unseen(fault: &'static str, check: &'static str, wasm: Vec<u8>) -> Guest {
    Guest { fault, check, in_agent: InAgent::Unseen, wasm }
}

/// Does that when asked for a record of that type of a name of three bytes, such as `api`; knows no other name.
fn on(asked: u32, code: &str) -> Code {
    let api = format!("(i32.eq (local.get $type) (i32.const {asked}))");
    let api = format!("(i32.and {api} (i32.eq (local.get $length) (i32.const 3)))");
    Code::new(Point::Naming, format!("(if {api} (then {code})) (i32.const 16)"))
}

/// Does that when asked for a text, whatever the name.
fn on_each_txt(code: &str) -> Code {
    let asked = format!("(i32.eq (local.get $type) (i32.const {ASKED_TXT}))");
    Code::new(Point::Naming, format!("(if {asked} (then {code})) (i32.const 16)"))
}
