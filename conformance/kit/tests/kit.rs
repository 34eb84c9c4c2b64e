//! The kit finds every hostile guest by the name of its fault and by no other, and passes the default bundle.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use servos_conformance_kit::{CheckId, Outcome, Report, judge, table};
use servos_hostile_guests::code::{Code, Point};
use servos_sandbox::{Kind, Manifest};

fn report(wasm: &[u8]) -> Report {
    judge(wasm, &Manifest::default()).unwrap()
}

/// The names of the checks that failed.
fn failed(report: &Report) -> Vec<&str> {
    report.failed().map(|check| check.name.name()).collect()
}

/// Knows no name.
fn passing() -> Vec<u8> {
    Code::new(Point::Naming, "(i32.const 16)").component()
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
        assert!(report.passed && report.kind == Some(kind), "{name}:\n{report}");
        assert!(report.checks.iter().all(|check| check.outcome == Outcome::Passed), "{name}:\n{report}");
        assert!(report.latency.unwrap().calls > 100, "{name}:\n{report}");
    }
}

#[test]
fn a_plugin_that_does_nothing_wrong_passes() {
    let report = report(&passing());
    assert!(report.passed, "{report}");
    let concerned = CheckId::ALL.iter().filter(|check| check.kind().is_none_or(|kind| kind == Kind::Naming)).count();
    assert_eq!(report.checks.len(), concerned);
}

#[test]
fn every_fault_is_found_by_its_name_and_by_no_other() {
    let mut wrong = Vec::new();
    for guest in servos_hostile_guests::all() {
        let report = report(&guest.wasm);
        if failed(&report) != [guest.check] || report.passed {
            wrong.push(format!("{}, not by {:?} alone:\n{report}", guest.fault, guest.check));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_check_finds_a_fault() {
    let guests = servos_hostile_guests::all();
    let faults: BTreeSet<_> = guests.iter().map(|guest| guest.fault).collect();
    assert_eq!(faults.len(), guests.len(), "two faults have one name");
    let seeded: BTreeSet<_> = guests.iter().map(|guest| guest.check).collect();
    let checks: BTreeSet<_> = CheckId::ALL.iter().map(|check| check.name()).collect();
    assert_eq!(seeded, checks);
}

#[test]
fn the_readme_lists_the_checks() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(readme.contains(&table()), "conformance/kit/README.md should hold:\n\n{}", table());
}

#[test]
fn settings_of_its_own_are_kept_beside_nonsense() {
    // Takes `{"ttl":5}` alone, which has 9 bytes.
    let configure = "(select (i32.const 16) (i32.const 64) (i32.eq (local.get $length) (i32.const 9)))";
    let wasm = Code::new(Point::Naming, "(i32.const 16)").configure(configure).component();
    let manifest = Manifest::parse("[settings]\nttl = 5").unwrap();
    let report = judge(&wasm, &manifest).unwrap();
    assert!(report.passed, "{report}");
    // Takes whatever has 9 bytes or more, `{"ttl":[[]]}` among it.
    let configure = "(select (i32.const 16) (i32.const 64) (i32.ge_u (local.get $length) (i32.const 9)))";
    let wasm = Code::new(Point::Naming, "(i32.const 16)").configure(configure).component();
    assert_eq!(failed(&judge(&wasm, &manifest).unwrap()), ["settings-refused"]);
}

#[test]
fn the_command_prints_and_exits_accordingly() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let good = write("good.wasm", &passing());
    let bad = write("bad.wasm", b"rubbish");
    let settings = write("bad.toml", b"[settings\n");
    let junit = root.path().join("junit.xml");

    let passed = run(&[&good, Path::new("--junit"), &junit]);
    assert_eq!(passed.status.code(), Some(0));
    let text = String::from_utf8_lossy(&passed.stdout);
    assert!(text.contains("PASS  same-again") && text.contains(" p99 "), "{text}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("failures=\"0\"") && xml.contains("<testcase name=\"same-again\""), "{xml}");
    assert!(xml.contains("p99_ns"), "{xml}");

    let failed = run(&[Path::new("--json"), &bad, Path::new("--junit"), &junit]);
    assert_eq!(failed.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&failed.stdout).unwrap();
    let first = &report["checks"][0];
    assert_eq!(
        (&report["passed"], &first["name"], &first["outcome"], &first["detail"]),
        (&false.into(), &"component".into(), &"failed".into(), &"is no WebAssembly".into())
    );
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("failures=\"1\"") && xml.contains("<failure message=\"is no WebAssembly\""), "{xml}");

    let missing = run(&[Path::new("/nowhere/at/all.wasm")]);
    assert_eq!(missing.status.code(), Some(2));
    let malformed = run(&[&good, Path::new("--settings"), &settings]);
    assert_eq!(malformed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&malformed.stderr).contains("bad.toml: line 1"), "{malformed:?}");
    for wrong in [&[Path::new("--json")][..], &[Path::new("--list"), &good]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let list = run(&[Path::new("--list")]);
    assert_eq!((list.status.code(), String::from_utf8(list.stdout).unwrap()), (Some(0), table()));
}

fn run(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_servos-conformance-kit")).args(arguments).output().unwrap()
}
