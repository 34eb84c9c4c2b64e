//! How long an answer may be kept: the least that any plugin allows that was asked for it.

#![cfg(test)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::guest::{CANNED, Naming};
use common::{host, mesh, question};
use servos_hostile_guests::answers::a_records;
use servos_sandbox::limits::STOOD_IN;
use servos_sandbox::naming::{Keep, Outcome, RecordType, Resolved};
use servos_sandbox::{Manifest, PluginHost};

/// Tag of `no-such-name`.
const NO_SUCH_NAME: u8 = 1;

/// A host of one plugin that answers, behind a drop-in with that manifest.
fn behind(root: &Path, drop_in: &[u8], manifest: &str) -> Arc<PluginHost> {
    let folder = root.join("plugins.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("10-first.wasm"), drop_in).unwrap();
    fs::write(folder.join("10-first.toml"), manifest).unwrap();
    host(root, vec![("bundled", Naming::answering(vec![NO_SUCH_NAME, 0, 0, 0]))])
}

fn ask(host: &PluginHost, record_type: RecordType) -> Resolved {
    host.resolve_to_keep(&mesh::snapshot(), &question("api", record_type))
}

#[test]
fn the_manifest_says_how_long() {
    let keep = |text: &str| Manifest::parse(text).map(|manifest| manifest.answers);
    assert_eq!(keep(""), Ok(None));
    assert_eq!(keep("[cache]\nanswers = \"until-revision\""), Ok(Some(Keep::UntilRevision)));
    assert_eq!(keep("[cache]\nanswers = \"never\""), Ok(Some(Keep::Never)));
    assert_eq!(keep("[cache]\nanswers = 30"), Ok(Some(Keep::For(Duration::from_secs(30)))));
    for wrong in ["0", "-1", "\"sometimes\"", "true", "4294967296"] {
        let problem = keep(&format!("[cache]\nanswers = {wrong}")).unwrap_err().to_string();
        assert!(problem.starts_with("line 2: answers must be"), "{wrong}: {problem}");
    }
}

#[test]
fn one_that_passes_has_a_say() {
    let pass = Naming::default().component();
    for (manifest, keep) in [
        ("", Keep::UntilRevision),
        ("[cache]\nanswers = 30", Keep::For(Duration::from_secs(30))),
        ("[cache]\nanswers = \"never\"", Keep::Never),
    ] {
        let root = tempfile::tempdir().unwrap();
        let resolved = ask(&behind(root.path(), &pass, manifest), RecordType::A);
        assert_eq!(resolved, Resolved { outcome: Outcome::NoSuchName, keep }, "{manifest}");
    }
}

#[test]
fn one_that_is_not_asked_has_none() {
    let root = tempfile::tempdir().unwrap();
    let host = behind(root.path(), &Naming::answering(a_records(1, &[[100, 64, 0, 2]])), "");
    let folder = root.path().join("plugins.d");
    fs::write(folder.join("20-second.wasm"), Naming::default().component()).unwrap();
    fs::write(folder.join("20-second.toml"), "[cache]\nanswers = \"never\"").unwrap();
    host.rescan();
    assert_eq!(ask(&host, RecordType::A).keep, Keep::UntilRevision);
}

#[test]
fn an_answer_in_place_of_one_that_failed_is_kept_briefly() {
    let traps = format!("(if (i32.eq (local.get $type) (i32.const 2)) (then unreachable)) {CANNED}");
    let traps = Naming { resolve: traps, ..Naming::default() }.component();
    let root = tempfile::tempdir().unwrap();
    let host = behind(root.path(), &traps, "");
    let stood_in = Resolved { outcome: Outcome::NoSuchName, keep: Keep::For(STOOD_IN) };
    assert_eq!(ask(&host, RecordType::Srv), stood_in);
    assert_eq!(ask(&host, RecordType::A).keep, Keep::UntilRevision);
}
