//! Files that are no plugins, and plugins that do not start.

use crate::answers::list_at;
use crate::code::{self, Code, Point, component_of, contract};
use crate::{Guest, InAgent};

pub(crate) fn guests() -> Vec<Guest> {
    let refused = |fault, check, why, wasm| Guest { fault, check, in_agent: InAgent::Refused(why), wasm };
    let unseen = |fault, check, wasm| Guest { fault, check, in_agent: InAgent::Unseen, wasm };
    let configured = |configure: &str| passing().configure(configure).component();
    let mut cut = passing().component();
    cut.truncate(cut.len() / 2);
    let core = wat::parse_str("(module)").expect("an empty module");
    let empty = wat::parse_str("(component)").expect("an empty component");
    vec![
        refused("rubbish", "component", "is no WebAssembly", b"this is no WebAssembly".to_vec()),
        refused("cut-off", "component", "does not compile", cut),
        refused("core-module", "component", "core module", core),
        refused("exports-nothing", "contract", "exports no extension point", empty),
        refused("next-version", "contract", "servos:plugin/naming@0.2.0", next_version()),
        refused("two-extension-points", "contract", "several extension points", two_extension_points()),
        refused("other-types", "contract", "found `string`", other_types()),
        refused("reads-files", "grants", "acme:disk/files", reads_files()),
        refused("speaks-http", "grants", "wasi:http", speaks_http()),
        refused("traps-in-configure", "configure-sound", "does not start: trapped", configured("unreachable")),
        refused("loops-in-configure", "configure-sound", "deadline", configured("(loop $l (br $l)) (i32.const 16)")),
        refused("refuses-good-settings", "settings-taken", "unknown setting", configured("(i32.const 64)")),
        refused("starts-too-large", "memory", "more memory", passing().pages(2_000).component()),
        unseen(
            "traps-on-odd-settings",
            "configure-sound",
            configured("(if (i32.gt_u (local.get $length) (i32.const 2)) (then unreachable)) (i32.const 16)"),
        ),
        unseen("takes-any-settings", "settings-refused", configured("(i32.const 16)")),
        unseen("refuses-without-a-word", "settings-refused", refuses_without_a_word()),
    ]
}

/// Knows no name.
fn passing() -> Code {
    Code::new(Point::Naming, "(i32.const 16)")
}

fn next_version() -> Vec<u8> {
    let next = |text: &str| text.replace("servos:plugin@0.1.0", "servos:plugin@0.2.0").replace("@0.1.0", "@0.2.0");
    let world = "package test:guest; world guest { export servos:plugin/naming@0.2.0; }";
    component_of(&[&next(&contract()), world], &next(&passing().module()))
}

fn two_extension_points() -> Vec<u8> {
    let functions = passing().functions() + &Code::new(Point::Policy, "(i32.const 16)").functions();
    let world = "package test:guest;
        world guest { export servos:plugin/naming@0.1.0; export servos:plugin/policy@0.1.0; }";
    component_of(&[&contract(), world], &code::module("", &functions, &[], 4))
}

/// `resolve` gives a text.
fn other_types() -> Vec<u8> {
    let sound = "resolve: func(question: question) -> outcome;";
    let contract = contract();
    assert!(contract.contains(sound), "the contract has another `resolve`");
    let world = "package test:guest; world guest { export servos:plugin/naming@0.1.0; }";
    let other = contract.replace(sound, "resolve: func(question: question) -> string;");
    component_of(&[&other, world], &passing().module())
}

fn reads_files() -> Vec<u8> {
    let disk = "package acme:disk@1.0.0; interface files { read-all: func(); }";
    Code::new(Point::Naming, "(call $read) (i32.const 16)")
        .before(r#"(import "acme:disk/files@1.0.0" "read-all" (func $read))"#)
        .component_importing(&[disk], &["acme:disk/files@1.0.0"])
}

fn speaks_http() -> Vec<u8> {
    let http = "package wasi:http@0.2.0; interface outgoing-handler { handle: func() -> u32; }";
    Code::new(Point::Naming, "(drop (call $handle)) (i32.const 16)")
        .before(r#"(import "wasi:http/outgoing-handler@0.2.0" "handle" (func $handle (result i32)))"#)
        .component_importing(&[http], &["wasi:http/outgoing-handler@0.2.0"])
}

fn refuses_without_a_word() -> Vec<u8> {
    // `err`, and an empty text behind.
    let refusal = [&[1, 0, 0, 0][..], &list_at(code::ANSWER, 0)].concat();
    let configure = "(select (i32.const 1024) (i32.const 16) (i32.gt_u (local.get $length) (i32.const 2)))";
    passing().configure(configure).answer(refusal).component()
}
