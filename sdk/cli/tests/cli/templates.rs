//! Each template becomes a plugin that passes its own tests and the conformance kit, and answers as it says.

use std::path::Path;
use std::process::Command;

use crate::common::{all, prepare, root, servos_plugin};

/// Makes a plugin of a template, tests it in its own language, builds it, and has it judged. Gives what it answers.
fn made(kind: &str, language: &str, native_tests: &str, question: &[&str]) -> serde_json::Value {
    // The same place each time: Cargo finds what it has built.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{kind}-{language}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    let name = "some-new-plugin";
    let sdk = root().join("sdk/rust");
    let mut new = vec!["new", name, "--kind", kind, "--language", language];
    if language == "rust" {
        new.extend(["--sdk", sdk.to_str().unwrap()]);
    }
    let succeed = |arguments: &[&str], folder: &Path| {
        let output = servos_plugin(arguments, folder);
        assert!(output.status.success(), "{kind} {language}: {arguments:?}: {}", all(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    succeed(&new, &folder);
    let plugin = folder.join(name);
    let mut tests = Command::new("bash");
    prepare(tests.args(["-euc", native_tests]).current_dir(&plugin));
    let tests = tests.output().unwrap();
    assert!(tests.status.success(), "{kind} {language}: {}", all(&tests));

    let built = succeed(&["build"], &plugin);
    assert!(built.contains("some-new-plugin.wasm") && built.contains("KiB"), "{built}");
    let inspected = succeed(&["inspect", "some-new-plugin.wasm", "--json"], &plugin);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["kind"], kind);
    assert_eq!(inspected["version"], "0.1.0");
    assert_eq!(inspected["world"], format!("servos:plugin/{kind}-plugin@0.1.0"));
    succeed(&["check", "some-new-plugin.wasm"], &plugin);
    let mut call = vec!["call", "some-new-plugin.wasm", "--mesh", "mesh.yaml", "--json"];
    call.extend(question);
    serde_json::from_str(&succeed(&call, &plugin)).unwrap()
}

const RUST_TESTS: &str = "cargo test --quiet";
const JAVASCRIPT_TESTS: &str = "npm test";

/// Python's tests need the bindings that a component gets when it is built.
fn python_tests(kind: &str) -> String {
    format!(
        "componentize-py --wit-path wit --world {kind}-plugin bindings bindings && PYTHONPATH=bindings python3 -m unittest"
    )
}

fn naming(language: &str, native_tests: &str) {
    let answer = made("naming", language, native_tests, &["naming", "hello"]);
    assert_eq!(answer["outcome"]["answers"][0]["rdata"]["a"], "100.64.0.1", "{answer}");
}

fn weighting(language: &str, native_tests: &str) {
    let answer = made("weighting", language, native_tests, &["weighting", "api"]);
    let weights: Vec<_> = answer["weights"].as_array().unwrap().iter().map(|weight| &weight["weight"]).collect();
    assert_eq!(weights, [100, 200, 0], "{answer}");
}

fn policy(language: &str, native_tests: &str) {
    let answer = made("policy", language, native_tests, &["policy"]);
    let ports: Vec<_> = answer["rules"].as_array().unwrap().iter().map(|rule| &rule["ports"]["first"]).collect();
    assert_eq!(ports, [51820, 8080, 80], "{answer}");
}

#[test]
fn rust() {
    naming("rust", RUST_TESTS);
    weighting("rust", RUST_TESTS);
    policy("rust", RUST_TESTS);
}

#[test]
fn javascript() {
    naming("javascript", JAVASCRIPT_TESTS);
    weighting("javascript", JAVASCRIPT_TESTS);
    policy("javascript", JAVASCRIPT_TESTS);
}

#[test]
fn naming_in_python() {
    naming("python", &python_tests("naming"));
}

#[test]
fn weighting_in_python() {
    weighting("python", &python_tests("weighting"));
}

#[test]
fn policy_in_python() {
    policy("python", &python_tests("policy"));
}
