//! What a file must be to become a plugin; each refusal says what is wrong and what to do.

#![cfg(test)]

mod common;

use common::guest::{self, CANNED, Naming};
use servos_hostile_guests::code;
use servos_sandbox::limits::CORE_INSTANCES;
use servos_sandbox::{Fault, Kind, LoadError, Manifest, Plugin, Sandbox, Unanswered};

fn load(wasm: &[u8]) -> Result<Plugin, LoadError> {
    Sandbox::new(None).unwrap().load("test", wasm, &Manifest::default())
}

#[test]
fn a_component_is_classified_by_what_it_exports() {
    let naming = load(&Naming::default().component()).unwrap();
    assert_eq!((naming.kind(), naming.interface()), (Kind::Naming, "servos:plugin/naming@0.1.0"));
    assert_eq!(load(&guest::weighting(&[1, 2])).unwrap().kind(), Kind::Weighting);
    assert_eq!(load(&guest::policy(&[(22, 22, "ssh")])).unwrap().kind(), Kind::Policy);
}

#[test]
fn what_is_no_component_is_refused() {
    assert_eq!(load(b"this is no WebAssembly").unwrap_err(), LoadError::NotWasm);
    assert_eq!(load(b"").unwrap_err(), LoadError::NotWasm);
    assert_eq!(load(&wat::parse_str("(module)").unwrap()).unwrap_err(), LoadError::CoreModule);
    let mut cut = Naming::default().component();
    cut.truncate(cut.len() / 2);
    assert!(matches!(load(&cut).unwrap_err(), LoadError::Compile(_)));
}

#[test]
fn a_component_must_export_one_extension_point_of_this_version() {
    assert_eq!(load(&wat::parse_str("(component)").unwrap()).unwrap_err(), LoadError::NoExtensionPoint);

    let two = format!(
        r#"(func (export "servos:plugin/naming@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
           (func (export "servos:plugin/naming@0.1.0#resolve") (param i32 i32 i32) (result i32) {CANNED})
           (func (export "servos:plugin/policy@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
           (func (export "servos:plugin/policy@0.1.0#rules")
             (param i32 i32 i32 i32 i32 i32 i32) (result i32) {CANNED})"#
    );
    let world = "package test:guest;
        world guest { export servos:plugin/naming@0.1.0; export servos:plugin/policy@0.1.0; }";
    let wasm = code::component_of(&[&code::contract(), world], &code::module("", &two, &[], 4));
    assert_eq!(load(&wasm).unwrap_err(), LoadError::SeveralExtensionPoints);
}

#[test]
fn a_hundred_core_instances_are_the_most() {
    let with = |count: usize| {
        let instances = "(core instance (instantiate $m))".repeat(count);
        load(&wat::parse_str(format!("(component (core module $m) {instances})")).unwrap()).unwrap_err()
    };
    assert_eq!(with(CORE_INSTANCES), LoadError::NoExtensionPoint);
    let refused = with(CORE_INSTANCES + 1);
    assert!(matches!(&refused, LoadError::Compile(why) if why.contains("instances")), "{refused}");
}

#[test]
fn answers_that_are_not_kept_have_no_cache() {
    let manifest = Manifest::parse("[cache]\nanswers = 30").unwrap();
    let load = |wasm: &[u8]| Sandbox::new(None).unwrap().load("test", wasm, &manifest).map(drop);
    assert_eq!(load(&Naming::default().component()), Ok(()));
    assert_eq!(load(&guest::weighting(&[1, 2])), Err(LoadError::NothingToKeep(Kind::Weighting)));
    let refused = load(&guest::policy(&[(22, 22, "ssh")])).unwrap_err().to_string();
    assert_eq!(refused, "is a policy plugin, whose answers are not kept: remove [cache] from its .toml");
}

#[test]
fn another_minor_of_the_contract_is_refused_and_another_patch_is_not() {
    let of_version = |version: &str| {
        let contract = code::contract().replace("servos:plugin@0.1.0", &format!("servos:plugin@{version}"));
        let world = format!("package test:guest; world guest {{ export servos:plugin/naming@{version}; }}");
        let module = Naming::default().module().replace("@0.1.0", &format!("@{version}"));
        code::component_of(&[&contract, &world], &module)
    };
    assert_eq!(load(&of_version("0.1.7")).unwrap().interface(), "servos:plugin/naming@0.1.7");
    let error = load(&of_version("0.2.0")).unwrap_err();
    assert_eq!(error, LoadError::OtherVersion("servos:plugin/naming@0.2.0".into()));
}

/// One file for agents of two ages.
#[test]
fn of_two_minors_the_served_one_is_asked() {
    let later = code::contract().replace("servos:plugin@0.1.0", "servos:plugin@0.2.0");
    let world = "package test:guest;
        world guest { export servos:plugin/naming@0.1.0; export servos:plugin/naming@0.2.0; }";
    let functions = |version: &str| {
        format!(
            r#"(func (export "servos:plugin/naming@{version}#configure") (param i32 i32) (result i32) (i32.const 16))
               (func (export "servos:plugin/naming@{version}#resolve") (param i32 i32 i32) (result i32) {CANNED})"#
        )
    };
    let module = code::module("", &(functions("0.1.0") + &functions("0.2.0")), &[], 4);
    let wasm = code::component_of(&[&code::contract(), &later, world], &module);
    assert_eq!(load(&wasm).unwrap().interface(), "servos:plugin/naming@0.1.0");
}

/// What a later patch adds is refused where it is used, and nowhere else.
#[test]
fn a_look_up_of_a_later_patch_is_refused_and_named() {
    let later = |code: &str| {
        let contract = code::contract()
            .replace("servos:plugin@0.1.0", "servos:plugin@0.1.7")
            .replace("generation: func() -> u64;", "generation: func() -> u64;\n    regions: func() -> u64;");
        let world = "package test:guest;
            world guest { import servos:plugin/directory@0.1.7; export servos:plugin/naming@0.1.7; }";
        let imports = r#"(import "servos:plugin/directory@0.1.7" "generation" (func $known (result i64)))
            (import "servos:plugin/directory@0.1.7" "regions" (func $later (result i64)))"#;
        let imports = imports.lines().filter(|line| line.contains(code)).collect();
        let module =
            Naming { imports, resolve: format!("(drop (call {code})) {CANNED}"), ..Naming::default() }.module();
        code::component_of(&[&contract, world], &module.replace("@0.1.0", "@0.1.7"))
    };
    assert_eq!(load(&later("$known")).unwrap().interface(), "servos:plugin/naming@0.1.7");
    let error = load(&later("$later")).unwrap_err();
    assert!(matches!(&error, LoadError::Link(why) if why.contains("servos:plugin/directory@0.1.7")), "{error}");
}

#[test]
fn an_import_that_is_not_granted_is_refused_and_named() {
    let acme = "package acme:disk@1.0.0; interface files { read-all: func(); }";
    let world = "package test:guest;
        world guest { import acme:disk/files@1.0.0; export servos:plugin/naming@0.1.0; }";
    let imports = r#"(import "acme:disk/files@1.0.0" "read-all" (func $read))"#.to_owned();
    let resolve = format!("(call $read) {CANNED}");
    let module = Naming { imports, resolve, ..Naming::default() }.module();
    let error = load(&code::component_of(&[&code::contract(), acme, world], &module)).unwrap_err();
    assert!(matches!(&error, LoadError::Link(why) if why.contains("acme:disk/files")), "{error}");
}

#[test]
fn refused_settings_are_passed_on_on_one_line() {
    // result: tag 1 (error), pointer, length.
    let mut answer = vec![1, 0, 0, 0];
    let text = b"no \x1b[31mserver\n of that name";
    answer.extend(u32::try_from(code::ANSWER + 12).unwrap().to_le_bytes());
    answer.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    answer.extend(text);
    let wasm = Naming { configure: "(i32.const 1024)".into(), answer, ..Naming::default() }.component();
    let expected = Fault::Settings("no \\u{1b}[31mserver  of that name".into());
    assert_eq!(load(&wasm).unwrap_err(), LoadError::Start(expected));
}

#[test]
fn settings_reach_the_guest_as_json() {
    // Refuses whatever it gets, and quotes it: error, pointer and length of the settings.
    let configure = "(i32.store (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1028) (local.get $settings))
        (i32.store (i32.const 1032) (local.get $length))
        (i32.const 1024)";
    let wasm = Naming { configure: configure.into(), ..Naming::default() }.component();
    let manifest = Manifest::parse("[settings]\nttl = 5\nzones = [\"a\"]\nsince = 2026-01-02").unwrap();
    let error = Sandbox::new(None).unwrap().load("test", &wasm, &manifest).unwrap_err();
    let expected = r#"{"since":"2026-01-02","ttl":5,"zones":["a"]}"#;
    assert_eq!(error, LoadError::Start(Fault::Settings(expected.into())));
    assert_eq!(load(&wasm).unwrap_err(), LoadError::Start(Fault::Settings("{}".into())));
}

#[test]
fn a_plugin_that_fails_its_first_question_is_refused() {
    let wasm = Naming { resolve: "unreachable".into(), ..Naming::default() }.component();
    assert!(matches!(load(&wasm).unwrap_err(), LoadError::Trial(Unanswered::Fault(Fault::Trap(_)))));
    let hangs = Naming { configure: "(loop $again (br $again)) unreachable".into(), ..Naming::default() }.component();
    assert!(matches!(load(&hangs).unwrap_err(), LoadError::Start(Fault::Deadline(_))));
    let three = guest::weighting(&[1, 2, 3]);
    assert!(load(&three).unwrap_err().to_string().contains("3 weights for 2 candidates"));
    let closed = guest::policy(&[(10, 9, "backwards")]);
    assert!(load(&closed).unwrap_err().to_string().contains("rule 0: ports 10 to 9"));
}

#[test]
fn a_manifest_is_refused_with_its_line() {
    let refused = |text: &str| Manifest::parse(text).unwrap_err().to_string();
    assert_eq!(
        refused("[limits]\ndeadline_ms = 20\nmemory = 5\n"),
        "line 3: unknown field `memory`, expected one of `deadline_ms`, `memory_mib`, `instances`"
    );
    assert!(refused("[settings]\n\nttl = \n").starts_with("line 3: "));
    assert_eq!(refused("[limits]\ndeadline_ms = 9"), "[limits] deadline_ms must be 10 to 2000");
    assert_eq!(refused("[limits]\nmemory_mib = 257"), "[limits] memory_mib must be 1 to 256");
    assert_eq!(Manifest::parse("").unwrap(), Manifest::default());
}

#[test]
fn plugins_run_where_the_pool_finds_no_address_space() {
    let me = std::env::current_exe().unwrap();
    let script = "ulimit -v 4000000 && exec \"$0\" --exact a_component_is_classified_by_what_it_exports";
    let run = std::process::Command::new("sh").args(["-c", script]).arg(me).output().unwrap();
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stdout).contains("1 passed"));
}
