//! What a guest sees through `directory`, and that it sees it while it is asked and only then.

mod common;

use std::sync::{Arc, Barrier};

use common::guest::{CANNED, Naming, target_record};
use common::{load, mesh, question};
use servos_hostile_guests::answers;
use servos_hostile_guests::answers::a_records;
use servos_sandbox::Plugin;
use servos_sandbox::limits::MAX_INSTANCES_LISTED;
use servos_sandbox::naming::{Outcome, Rdata, RecordType};

fn import(function: &str, parameters: &str) -> String {
    format!(r#"(import "servos:plugin/directory@0.1.0" "{function}" (func $ask {parameters}))"#)
}

/// A guest that answers the address of what `function` finds under the name that it is asked for.
/// option of a server: tag, name (pointer, length), address.
fn address_of(function: &str) -> Plugin {
    let resolve = format!(
        "(call $ask (local.get $name) (local.get $length) (i32.const 512))
         (if (i32.eqz (i32.load8_u (i32.const 512))) (then (return (i32.const 16))))
         (i32.store (i32.const 1044) (i32.load (i32.const 524)))
         {CANNED}"
    );
    let imports = import(function, "(param i32 i32 i32)");
    load(&Naming { imports, resolve, answer: a_records(1, &[[0; 4]]), ..Naming::default() }.component(), "")
}

/// A guest that answers the length of the list that `instances` gives for the name, as the port of an SRV record.
fn instance_count() -> Plugin {
    let resolve = format!(
        "(call $ask (local.get $name) (local.get $length) (i32.const 512))
         (if (i32.eqz (i32.load (i32.const 516))) (then (return (i32.const 16))))
         (i32.store16 (i32.const 1048) (i32.load (i32.const 516)))
         {CANNED}"
    );
    let imports = import("instances", "(param i32 i32 i32)");
    let answer = target_record(answers::SRV, 1, "s1");
    load(&Naming { imports, resolve, answer, pages: 40, ..Naming::default() }.component(), "")
}

fn port(outcome: Outcome) -> u16 {
    let Outcome::Answers(answers) = outcome else { panic!("{outcome:?}") };
    let Rdata::Srv { port, .. } = answers[0].rdata else { panic!("{answers:?}") };
    port
}

fn address(outcome: Outcome) -> [u8; 4] {
    let Outcome::Answers(answers) = outcome else { panic!("{outcome:?}") };
    let Rdata::A(address) = answers[0].rdata else { panic!("{answers:?}") };
    address.octets()
}

#[test]
fn a_server_is_found_by_its_name() {
    let plugin = address_of("server-by-name");
    let mesh = mesh::snapshot();
    let ask = |name| plugin.resolve(&mesh, &question(name, RecordType::A)).unwrap();
    assert_eq!(address(ask("s2")), [100, 64, 0, 2]);
    assert_eq!(address(ask("s1")), [100, 64, 0, 1]);
    assert_eq!(ask("s9"), Outcome::Pass);
}

#[test]
fn instances_are_listed_up_to_the_limit() {
    let plugin = instance_count();
    let ask = |mesh, name| plugin.resolve(&mesh, &question(name, RecordType::Srv)).unwrap();
    assert_eq!(port(ask(mesh::snapshot(), "api")), 3);
    assert_eq!(port(ask(mesh::snapshot(), "postgres")), 1);
    assert_eq!(ask(mesh::snapshot(), "nobody"), Outcome::Pass);
    assert_eq!(usize::from(port(ask(mesh::with_many_instances(5_000), "api"))), MAX_INSTANCES_LISTED);
}

#[test]
fn a_snapshot_is_let_go_after_the_call() {
    let plugin = address_of("server-by-name");
    let mesh = mesh::snapshot();
    plugin.resolve(&mesh, &question("s2", RecordType::A)).unwrap();
    assert_eq!(Arc::strong_count(&mesh), 1);
}

#[test]
fn questions_run_side_by_side_each_in_its_own_mesh() {
    let plugin = Arc::new(instance_count());
    let threads = 8;
    let start = Arc::new(Barrier::new(threads));
    let run = |thread: usize| {
        let (plugin, start) = (plugin.clone(), start.clone());
        std::thread::spawn(move || {
            let count = 1 + thread as u16;
            let mesh = mesh::with_many_instances(count);
            start.wait();
            for _ in 0..200 {
                assert_eq!(port(plugin.resolve(&mesh, &question("api", RecordType::Srv)).unwrap()), count);
            }
        })
    };
    let running: Vec<_> = (0..threads).map(run).collect();
    running.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(plugin.faults().0, 0);
}
