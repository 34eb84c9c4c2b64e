//! The bundle: which of its plugins run, with which settings, and who decides what.

#![cfg(test)]

mod common;

use common::guest::{self, Naming};
use common::{config, host, mesh, question, status};
use servos_hostile_guests::answers::a_records;
use servos_mesh::Instance;
use servos_sandbox::naming::{Outcome, RecordType};
use servos_sandbox::policy::{Action, PolicyContext, PortRange, Reason, Rule, Source, Transport};
use servos_sandbox::weighting::Candidate;
use servos_sandbox::{PluginHost, SandboxError, State};

fn context() -> PolicyContext {
    PolicyContext { wireguard_port: 51_820, interface: "wg0".into(), instances: Vec::new(), proxy_ports: Vec::new() }
}

fn candidates(mesh: &servos_mesh::Snapshot, count: usize) -> Vec<Candidate> {
    let service = mesh.table.service("api").unwrap();
    let candidate = |instance: &Instance| Candidate { instance: *instance, current_weight: None };
    service.instances[..count].iter().map(candidate).collect()
}

#[test]
fn a_name_that_every_plugin_passes_is_passed() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path(), vec![("a", Naming::default().component()), ("b", Naming::default().component())]);
    assert_eq!(host.resolve(&mesh::snapshot(), &question("example.org", RecordType::A)), Outcome::Pass);
    assert_eq!(host.status().iter().map(|plugin| plugin.calls).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn the_first_that_knows_the_name_decides() {
    let root = tempfile::tempdir().unwrap();
    let nxdomain = Naming::answering(vec![1]);
    let knows = Naming::answering(a_records(1, &[[100, 64, 0, 1]]));
    let host = host(root.path(), vec![("pass", Naming::default().component()), ("none", nxdomain), ("knows", knows)]);
    assert_eq!(host.resolve(&mesh::snapshot(), &question("api", RecordType::A)), Outcome::NoSuchName);
    assert_eq!(status(&host, "knows").unwrap().calls, 1, "its trial alone");
}

#[test]
fn a_disabled_plugin_is_not_asked() {
    let root = tempfile::tempdir().unwrap();
    let mut config = config(root.path(), vec![("knows", Naming::answering(a_records(1, &[[100, 64, 0, 1]])))]);
    config.disabled = vec!["knows".into()];
    let host = PluginHost::new(config).unwrap();
    assert_eq!(host.resolve(&mesh::snapshot(), &question("api", RecordType::A)), Outcome::Pass);
    assert_eq!(
        (status(&host, "knows").unwrap().state, status(&host, "knows").unwrap().problem()),
        (State::Disabled, None)
    );
}

#[test]
fn settings_for_a_plugin_that_is_not_there_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut config = config(root.path(), vec![("dns-naming", Naming::default().component())]);
    config.bundle_settings.insert("dns-namin".into(), serde_json::json!({}));
    let error = PluginHost::new(config).unwrap_err();
    assert!(matches!(&error, SandboxError::UnknownBundled { .. }));
    assert!(error.to_string().contains("\"dns-namin\"") && error.to_string().contains("dns-naming"), "{error}");
}

#[test]
fn a_plugin_that_refuses_its_settings_leaves_the_others_running() {
    let root = tempfile::tempdir().unwrap();
    let picky = "(i32.store (i32.const 512) (i32.gt_u (local.get $length) (i32.const 2))) (i32.const 512)";
    let picky = Naming { configure: picky.into(), ..Naming::default() }.component();
    let knows = Naming::answering(a_records(1, &[[100, 64, 0, 1]]));
    let mut config = config(root.path(), vec![("picky", picky), ("knows", knows)]);
    config.bundle_settings.insert("picky".into(), serde_json::json!({ "ttl": "nonsense" }));
    let host = PluginHost::new(config).unwrap();
    assert!(status(&host, "picky").unwrap().problem().unwrap().contains("refused its settings"));
    assert!(matches!(host.resolve(&mesh::snapshot(), &question("api", RecordType::A)), Outcome::Answers(_)));
}

#[test]
fn weights_come_from_the_first_plugin_that_gives_sound_ones() {
    let root = tempfile::tempdir().unwrap();
    let mesh = mesh::snapshot();
    let service = mesh.table.service("api").unwrap();
    // Trials have two candidates.
    let host = host(root.path(), vec![("first", guest::weighting(&[1, 2])), ("second", guest::weighting(&[30, 40]))]);
    assert_eq!(host.weigh(&mesh, service, &candidates(&mesh, 2)), Some(vec![1, 2]));
    assert_eq!(host.weigh(&mesh, service, &candidates(&mesh, 3)), None);
    assert_eq!(
        status(&host, "first").unwrap().last_fault.unwrap().message,
        "answered nonsense: 2 weights for 3 candidates"
    );
    assert_eq!(host.rules(&mesh, &context()), None, "nobody serves that");
}

#[test]
fn rules_come_back_checked() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path(), vec![("policy", guest::policy(&[(80, 80, "web"), (8_000, 8_999, "api: dev")]))]);
    let rule = |first, last, reason: &str| Rule {
        action: Action::Allow,
        transport: Transport::Tcp,
        ports: PortRange::new(first, last).unwrap(),
        source: Source::Anywhere,
        reason: Reason::new(reason).unwrap(),
    };
    let expected = vec![rule(80, 80, "web"), rule(8_000, 8_999, "api: dev")];
    assert_eq!(host.rules(&mesh::snapshot(), &context()), Some(expected));
}

#[test]
fn status_is_json_that_a_table_can_show() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path(), vec![("good", Naming::default().component()), ("bad", b"rubbish".to_vec())]);
    let status = serde_json::to_value(host.status()).unwrap();
    assert_eq!(
        (&status[0]["origin"], &status[0]["state"], &status[0]["kind"]),
        (&"bundle".into(), &"running".into(), &"naming".into())
    );
    assert_eq!(status[1]["state"], serde_json::json!({ "refused": "is no WebAssembly" }));
    assert_eq!(status[0]["sha256"].as_str().unwrap().len(), 64);
}
