//! What the commands print and exit with: done, the plugin at fault, and what cannot be done.

use std::path::Path;
use std::process::Output;

use crate::common::{all, servos_plugin};
use servos_hostile_guests::code::{Code, Point};

/// A folder with `good.wasm`, which knows no name, and `rubbish.wasm`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.wasm"), Code::new(Point::Naming, "(i32.const 16)").component()).unwrap();
    std::fs::write(folder.path().join("rubbish.wasm"), b"rubbish").unwrap();
    std::fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    folder
}

/// Runs it, and expects that exit code and that text.
fn expect(arguments: &[&str], folder: &Path, code: i32, text: &str) -> Output {
    let output = servos_plugin(arguments, folder);
    let said = all(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(text), "{arguments:?} does not say {text:?}: {said}");
    output
}

#[test]
fn inspect_tells_a_plugin_from_what_is_none() {
    let folder = folder();
    let folder = folder.path();
    expect(&["inspect", "good.wasm"], folder, 0, "servos:plugin/naming-plugin@0.1.0");
    let output = expect(&["inspect", "good.wasm", "--json"], folder, 0, "naming");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["interface"], "servos:plugin/naming@0.1.0");
    expect(&["inspect", "rubbish.wasm"], folder, 1, "is no component");
    expect(&["inspect", "core.wasm"], folder, 1, "is a core module");
    expect(&["inspect", "nowhere.wasm"], folder, 2, "cannot read nowhere.wasm");
}

#[test]
fn call_answers_in_the_mesh_of_the_file() {
    let folder = folder();
    let folder = folder.path();
    expect(&["call", "good.wasm", "naming", "hello"], folder, 0, "hello: passed on");
    expect(&["call", "good.wasm", "weighting", "api"], folder, 2, "is a naming plugin");
    expect(&["call", "good.wasm", "weighting", "apu"], folder, 2, "there are: api, postgres");
    expect(&["call", "rubbish.wasm", "naming", "hello"], folder, 1, "is no WebAssembly");
    for (mesh, problem) in [
        ("servers: [{ name: s1 }]\nservice: []\n", "line 2"),
        ("servers: [{ name: S_1 }]\n", "line 1"),
        ("servers: [{ name: s1 }, { name: s1 }]\n", "s1 stands in the list `servers` twice"),
        ("this_server: s2\nservers: [{ name: s1 }]\n", "no server s2"),
        ("servers: [{ name: s1, address: 10.0.0.1 }]\n", "100.64"),
    ] {
        std::fs::write(folder.join("mesh.yaml"), mesh).unwrap();
        expect(&["call", "good.wasm", "--mesh", "mesh.yaml", "naming", "hello"], folder, 2, problem);
    }
}

#[test]
fn a_plugin_that_fails_its_call_is_told_with_the_fault() {
    let folder = tempfile::tempdir().unwrap();
    // Sound until it is asked for something: the trial's name has 13 bytes.
    let resolve =
        "(if (result i32) (i32.eq (local.get $length) (i32.const 13)) (then (i32.const 16)) (else unreachable))";
    let wasm = Code::new(Point::Naming, resolve).component();
    std::fs::write(folder.path().join("traps.wasm"), wasm).unwrap();
    expect(&["call", "traps.wasm", "naming", "hello"], folder.path(), 1, "trapped: ");
    let output = expect(&["call", "traps.wasm", "--json", "naming", "hello"], folder.path(), 1, "trapped: ");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["error"].as_str().unwrap().starts_with("trapped"), "{answer}");
    expect(&["bench", "traps.wasm"], folder.path(), 1, "trapped: ");
}

#[test]
fn bench_measures_load_start_call_and_memory() {
    let folder = folder();
    let folder = folder.path();
    expect(&["bench", "good.wasm", "--ask", "hello"], folder, 0, "what hello means");
    let output = expect(&["bench", "good.wasm", "--json"], folder, 0, "p99_ns");
    let measured: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for figure in ["cold_load_ns", "warm_load_ns"] {
        assert!(measured[figure].as_u64().unwrap() > 0, "{measured}");
    }
    let plain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/dns-naming.wasm");
    let output = expect(&["bench", plain.to_str().unwrap(), "--json"], folder, 0, "warm_load_ns");
    let bundled: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let load = |which: &str| bundled[which].as_u64().unwrap();
    assert!(load("warm_load_ns") < load("cold_load_ns"), "native code is not kept: {bundled}");
    assert!(measured["call"]["calls"].as_u64().unwrap() > 100, "{measured}");
    assert!(measured["instantiation"]["p50_ns"].as_u64().unwrap() > 0, "{measured}");
    expect(&["bench", "rubbish.wasm"], folder, 1, "is no WebAssembly");
}

#[test]
fn check_is_the_conformance_kit() {
    let folder = folder();
    let folder = folder.path();
    expect(&["check", "good.wasm", "--junit", "junit.xml"], folder, 0, "PASS  same-again");
    assert!(std::fs::read_to_string(folder.join("junit.xml")).unwrap().contains("failures=\"0\""));
    let output = expect(&["check", "rubbish.wasm", "--json"], folder, 1, "is no WebAssembly");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["passed"], false);
    expect(&["check", "nowhere.wasm"], folder, 2, "cannot read nowhere.wasm");
    std::fs::write(folder.join("bad.toml"), "[settings\n").unwrap();
    expect(&["check", "good.wasm", "--settings", "bad.toml"], folder, 2, "bad.toml: line 1");
}

#[test]
fn new_overwrites_nothing_and_refuses_names_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let new = |name: &'static str| ["new", name, "--kind", "naming", "--language", "javascript"];
    expect(&new("alias"), folder, 0, "made alias");
    std::fs::write(folder.join("alias/plugin.js"), "mine").unwrap();
    expect(&new("alias"), folder, 2, "cannot make the folder alias");
    assert_eq!(std::fs::read_to_string(folder.join("alias/plugin.js")).unwrap(), "mine");
    for name in ["../up", "Alias", "a--b", "1st", ""] {
        expect(&new(name), folder, 2, "words of small letters");
    }
    let elsewhere = ["new", "other", "--kind", "naming", "--language", "rust", "--sdk", "alias"];
    expect(&elsewhere, folder, 2, "not the folder of the crate servos-plugin-sdk");
    assert!(!folder.join("other").exists());
}

#[test]
fn build_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    expect(&["build"], folder, 2, "servos-plugin new");
    expect(&["build", "nowhere"], folder, 2, "no folder nowhere");
    std::fs::write(folder.join("package.json"), "{\"name\":\"x\"}").unwrap();
    expect(&["build"], folder, 2, "servosPlugin.kind");
    std::fs::remove_file(folder.join("package.json")).unwrap();
    std::fs::write(folder.join("pyproject.toml"), "[project]\nname = \"x\"\n[tool.servos-plugin]\nkind = \"name\"\n")
        .unwrap();
    expect(&["build"], folder, 2, "there are naming, weighting and policy");
}

#[test]
fn a_plugin_whose_sources_do_not_build_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    expect(&["new", "alias", "--kind", "naming", "--language", "javascript"], folder, 0, "made alias");
    std::fs::write(folder.join("alias/plugin.js"), "export const naming = {").unwrap();
    expect(&["build", "alias"], folder, 1, "");
    assert!(!folder.join("alias/alias.wasm").exists());
}

#[test]
fn completion_and_help_name_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    expect(&["completion", "bash"], folder.path(), 0, "inspect");
    expect(&["--help"], folder.path(), 0, "Exit codes: 0, done; 1, the plugin is at fault");
    expect(&["no-such-command"], folder.path(), 2, "no-such-command");
}
