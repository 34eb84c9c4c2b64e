//! What a plugin imports is what it may do: granted by its manifest, or refused with the line that grants it.

#![cfg(test)]

mod common;

use std::fs;

use common::guest::Naming;
use common::{host, status};
use servos_hostile_guests::code;
use servos_sandbox::{LoadError, Manifest, Plugin, Sandbox, State};

/// A naming plugin that imports those interfaces of the contract, as `directory`.
fn importing(interfaces: &[&str]) -> Vec<u8> {
    let functions: String = interfaces
        .iter()
        .map(|interface| match *interface {
            "directory" => r#"(import "servos:plugin/directory@0.1.0" "generation" (func (result i64)))"#,
            "log" => r#"(import "servos:plugin/log@0.1.0" "log" (func (param i32 i32 i32)))"#,
            other => panic!("{other} is none of the contract's"),
        })
        .collect();
    Naming { imports: functions, ..Naming::default() }.component()
}

fn load(wasm: &[u8], manifest: &str) -> Result<Plugin, LoadError> {
    Sandbox::new(None).unwrap().load("test", wasm, &Manifest::parse(manifest).unwrap())
}

#[test]
fn without_a_table_the_contract_is_granted() {
    let plugin = load(&importing(&["directory", "log"]), "").unwrap();
    assert_eq!(plugin.imports(), ["directory", "log"]);
    assert_eq!(plugin.world(), "servos:plugin/naming-plugin@0.1.0");
    assert!(load(&Naming::default().component(), "").unwrap().imports().is_empty());
}

#[test]
fn with_a_table_that_alone_is() {
    let both = importing(&["directory", "log"]);
    let error = load(&both, "[grants]\nimports = [\"log\"]").unwrap_err();
    let line = r#"imports = ["directory", "log"]"#.to_owned();
    assert_eq!(error, LoadError::NotGranted { import: "directory".into(), line: line.clone() });
    assert!(error.to_string().ends_with(&format!("write there, under [grants], {line}")), "{error}");
    // The line does what it says.
    assert!(load(&both, &format!("[grants]\n{line}")).is_ok());
    assert!(load(&both, "[grants]\nimports = []").is_err());
    assert!(load(&Naming::default().component(), "[grants]\nimports = []").is_ok());
}

#[test]
fn wasi_is_granted_whole_or_by_interface() {
    let package = "package wasi:random@0.2.0; interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }";
    let world = "package test:guest; world guest {
        import wasi:random/insecure-seed@0.2.0; export servos:plugin/naming@0.1.0; }";
    let naming = Naming {
        imports: r#"(import "wasi:random/insecure-seed@0.2.0" "insecure-seed" (func (param i32)))"#.into(),
        ..Naming::default()
    };
    let wasm = code::component_of(&[package, &code::contract(), world], &naming.module());
    let with = |imports: &str| load(&wasm, &format!("[grants]\nimports = {imports}"));
    assert_eq!(load(&wasm, "").unwrap().imports(), ["wasi:random/insecure-seed"]);
    assert!(with(r#"["wasi"]"#).is_ok());
    assert!(with(r#"["wasi:random/insecure-seed"]"#).is_ok());
    assert!(matches!(with(r#"["wasi:random/random", "log"]"#), Err(LoadError::NotGranted { .. })));
}

#[test]
fn what_is_no_grant_is_refused_by_name() {
    let refused = |text: &str| Manifest::parse(text).unwrap_err().to_string();
    assert!(refused("[grants]\nimports = [\"files\"]").contains("\"files\" is none of log, directory, wasi"));
    assert!(refused(&format!("[grants]\nimports = [\"wasi:{}\"]", "a".repeat(60))).contains("is none of"));
    assert!(refused("[grants]\nimport = []").starts_with("line 2: unknown field `import`"));
    let many = vec!["\"log\""; 65].join(",");
    assert!(refused(&format!("[grants]\nimports = [{many}]")).contains("64 at most"));
}

#[test]
fn a_grant_that_is_taken_back_leaves_what_ran() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("plugins.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("10-curious.wasm"), importing(&["directory"])).unwrap();
    let host = host(root.path(), Vec::new());
    assert_eq!(status(&host, "10-curious").unwrap().grants, ["directory"]);
    fs::write(folder.join("10-curious.toml"), "[grants]\nimports = []").unwrap();
    host.rescan();
    let curious = status(&host, "10-curious").unwrap();
    assert_eq!(curious.state, State::Running);
    assert!(curious.problem().unwrap().contains(r#"imports = ["directory"]"#), "{:?}", curious.problem());
}
