//! The examples in Rust are plugins as the kit wants them, with settings as an operator would give them.

#![cfg(test)]

use std::path::Path;

use serde_json::{Value, json};
use servos_conformance_kit::judge;
use servos_sandbox::{Kind, Manifest};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/guests");

/// Each with what it decides, and settings that concern the kit's mesh of servers `s1` to `s8`.
fn examples() -> [(&'static str, Kind, Value); 7] {
    let views = json!([{ "seen_by": "s1", "server": "s2" }, { "seen_by": "", "server": "s3" }]);
    [
        ("canary-naming", Kind::Naming, json!({ "server": "s2" })),
        ("split-horizon-naming", Kind::Naming, json!({ "names": { "api": views, "cache": views } })),
        ("region-weighting", Kind::Weighting, json!({ "elsewhere_percent": 0 })),
        ("canary-weighting", Kind::Weighting, json!({ "servers": ["s2", "s5"], "percent": 10 })),
        ("drain-weighting", Kind::Weighting, json!({ "servers": ["s1", "s2"] })),
        ("gradual-weighting", Kind::Weighting, json!({ "step": 25 })),
        ("allow-list-policy", Kind::Policy, json!({ "clients": { "api": ["queue", "postgres"], "syslog": ["api"] } })),
    ]
}

#[test]
fn every_example_passes() {
    let mut wrong = Vec::new();
    for (name, kind, settings) in examples() {
        let path = Path::new(FOLDER).join(format!("{name}.wasm"));
        let wasm = std::fs::read(&path);
        let wasm = wasm.unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build`", path.display()));
        let report = judge(&wasm, &Manifest::with_settings(&settings)).unwrap();
        if !report.passed || report.kind != Some(kind) {
            wrong.push(format!("{name}:\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn no_example_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/examples");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("rust-")?.to_owned())).collect();
    found.sort();
    let mut known = examples().map(|(name, ..)| name);
    known.sort();
    assert_eq!(found, known);
}
