//! The kit catches what it is for, by name, and passes the default bundle.

#![cfg(test)]

#[path = "../../../host/sandbox/tests/common/guest.rs"]
mod guest;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use guest::{CANNED, Naming, a_records};
use servos_conformance_kit::{Report, judge};
use servos_sandbox::{Kind, Manifest};

fn report(wasm: &[u8]) -> Report {
    judge(wasm, &Manifest::default()).unwrap()
}

/// The names of the checks that failed.
fn failed(report: &Report) -> Vec<&str> {
    report.checks.iter().filter(|check| !check.passed).map(|check| check.name).collect()
}

#[test]
fn the_default_bundle_passes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    for (name, kind) in
        [("dns-naming", Kind::Naming), ("traefik-failover", Kind::Weighting), ("ufw-policy", Kind::Policy)]
    {
        let path = folder.join(format!("{name}.wasm"));
        let wasm = std::fs::read(&path);
        let wasm = wasm.unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build`", path.display()));
        let report = report(&wasm);
        assert!(report.passed && report.kind == Some(kind) && report.checks.len() == 5, "{name}:\n{report}");
    }
}

#[test]
fn a_plugin_that_knows_no_name_passes() {
    let report = report(&Naming::default().component());
    assert!(report.passed, "{report}");
}

#[test]
fn each_fault_is_caught_by_its_check() {
    let naming = |resolve: &str| report(&Naming { resolve: resolve.into(), ..Naming::default() }.component());

    assert_eq!(failed(&report(b"rubbish")), ["loads"]);
    assert_eq!(failed(&naming("unreachable")), ["loads"]);

    // Traps on the empty name.
    let odd = naming(&format!("(if (i32.eqz (local.get $length)) (then unreachable)) {CANNED}"));
    assert_eq!(failed(&odd), ["answers-odd-names"]);
    assert!(odd.to_string().contains("FAIL  answers-odd-names"), "{odd}");

    // Hangs on names of two bytes.
    let slow = naming(&format!("(if (i32.eq (local.get $length) (i32.const 2)) (then (loop $l (br $l)))) {CANNED}"));
    assert_eq!(failed(&slow), ["answers-known-names", "answers-odd-names", "answers-alike"]);

    // Counts its calls, in what it says: pass or no such name.
    let fickle =
        naming("(i32.store8 (i32.const 1024) (i32.xor (i32.load8_u (i32.const 1024)) (i32.const 1))) (i32.const 1024)");
    assert_eq!(failed(&fickle), ["answers-alike"]);

    // An address that is no server's in any of the meshes.
    let stranger = report(&Naming::answering(a_records(1, &[[100, 127, 0, 1]])));
    assert!(failed(&stranger).contains(&"answers-known-names"), "{stranger}");

    // Traps on settings.
    let configure = "(if (i32.gt_u (local.get $length) (i32.const 2)) (then unreachable)) (i32.const 16)";
    let brittle = report(&Naming { configure: configure.into(), ..Naming::default() }.component());
    assert_eq!(failed(&brittle), ["refuses-bad-settings"]);

    assert!(failed(&report(&guest::weighting(&[1, 2]))).contains(&"weighs-every-service"));
    assert_eq!(failed(&report(&guest::policy(&[(80, 80, "web")]))), Vec::<&str>::new());
}

#[test]
fn the_command_prints_and_exits_accordingly() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let good = write("good.wasm", &Naming::default().component());
    let bad = write("bad.wasm", b"rubbish");
    let settings = write("bad.toml", b"[settings\n");

    let passed = run(&[&good]);
    assert_eq!(passed.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&passed.stdout).contains("PASS  answers-alike"), "{passed:?}");

    let failed = run(&[Path::new("--json"), &bad]);
    assert_eq!(failed.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((&report["passed"], &report["checks"][0]["detail"]), (&false.into(), &"is no WebAssembly".into()));

    let missing = run(&[Path::new("/nowhere/at/all.wasm")]);
    assert_eq!(missing.status.code(), Some(2));
    let malformed = run(&[&good, Path::new("--settings"), &settings]);
    assert_eq!(malformed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&malformed.stderr).contains("bad.toml: line 1"), "{malformed:?}");
}

fn run(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_servos-conformance-kit")).args(arguments).output().unwrap()
}
