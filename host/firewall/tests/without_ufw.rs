//! Where ufw is not there, does not answer, or is not to be managed. Every `ufw` here is absent or a double.

#![cfg(test)]

mod common;

use std::path::Path;

use common::namespace::script;
use common::rules;
use servos_firewall::{CommandError, Firewall, FirewallError, FirewallMode, FirewallSettings, UfwState};
use tempfile::TempDir;

#[tokio::test]
async fn without_ufw_it_says_so_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let firewall = firewall(folder.path(), &folder.path().join("no-ufw"));

    let report = firewall.apply(Some(&rules(&["allow 80/tcp anywhere web"]))).await.unwrap();

    assert_eq!(report.ufw, Some(UfwState::Missing));
    assert!(report.is_complete() && report.done.is_empty());
    assert_eq!(report.notes, ["ufw is not installed: this server's firewall is left as it is"]);
    assert!(firewall.decommission().await.unwrap().is_complete());
}

#[tokio::test]
async fn off_means_that_ufw_is_not_even_read() {
    let folder = TempDir::new().unwrap();
    let ufw = script(folder.path(), "ufw", "echo called >>$0.calls; exit 1");
    let settings = FirewallSettings { mode: FirewallMode::Off, ..settings(folder.path(), &ufw) };
    let firewall = Firewall::new(settings, "wg0", 51820);

    let report = firewall.apply(Some(&rules(&["allow 80/tcp anywhere web"]))).await.unwrap();
    firewall.plan(None).await.unwrap();
    firewall.decommission().await.unwrap();

    assert_eq!(report.ufw, None);
    assert!(!folder.path().join("ufw.calls").exists());
}

#[tokio::test]
async fn a_ufw_that_says_no_is_an_error_with_its_words() {
    let folder = TempDir::new().unwrap();
    let ufw = script(folder.path(), "ufw", "echo 'ERROR: You need to be root to run this script' >&2; exit 1");

    let error = firewall(folder.path(), &ufw).apply(None).await.unwrap_err();

    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains("`ufw status` failed") && text.contains("You need to be root"), "{text}");
}

#[tokio::test]
async fn a_ufw_that_says_something_else_is_an_error() {
    let folder = TempDir::new().unwrap();
    let ufw = script(folder.path(), "ufw", "echo 'Zustand: aktiv'");

    let error = firewall(folder.path(), &ufw).plan(None).await.unwrap_err();

    assert!(matches!(error, FirewallError::Read(CommandError::Unreadable { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_ufw_that_hangs_is_stopped() {
    let folder = TempDir::new().unwrap();
    let ufw = script(folder.path(), "ufw", "echo $$ >$0.pid; exec sleep 100000");

    let error = firewall(folder.path(), &ufw).plan(None).await.unwrap_err();

    assert!(matches!(error, FirewallError::Read(CommandError::Deadline { .. })), "{error}");
}

/// A double that shows words: none of them goes through a shell.
#[tokio::test]
async fn words_reach_ufw_as_they_are() {
    let folder = TempDir::new().unwrap();
    let body = r#"case $1 in status) echo 'Status: inactive';; show) ;; *) printf '[%s]' "$@" >>$0.words;; esac"#;
    let ufw = script(folder.path(), "ufw", body);

    let report = firewall(folder.path(), &ufw).apply(Some(&rules(&["allow 80/tcp mesh a - b"]))).await.unwrap();

    let words = std::fs::read_to_string(folder.path().join("ufw.words")).unwrap();
    let expected = "[allow][51820/udp][comment][servos-mesh: wireguard]\
                    [allow][in][on][wg0][to][any][port][80][proto][tcp][comment][servos-mesh: a - b]";
    assert_eq!(words, expected);
    assert_eq!(report.failed.len(), 2, "its rules do not show them: {report:?}");
    assert!(report.failed[0].error.contains("do not show"), "{}", report.failed[0]);
}

#[tokio::test]
async fn a_lock_that_cannot_be_made_is_an_error() {
    let folder = TempDir::new().unwrap();
    let settings = FirewallSettings {
        lock_path: folder.path().join("no/such/folder"),
        ..settings(folder.path(), &folder.path().join("no-ufw"))
    };

    let error = Firewall::new(settings, "wg0", 51820).apply(None).await.unwrap_err();

    assert!(matches!(error, FirewallError::Lock(_)), "{error}");
}

#[test]
fn settings_have_defaults_and_no_unknown_fields() {
    let read = |text: &str| toml::from_str::<FirewallSettings>(text);
    assert_eq!(read("").unwrap(), FirewallSettings::default());
    assert_eq!(read("mode = \"off\"").unwrap().mode, FirewallMode::Off);
    assert!(read("enable_ufw = true\nssh_ports = [22, 2222]").unwrap().enable_ufw);
    for bad in ["mode = \"on\"", "ssh_ports = [0]", "ssh_ports = [65536]", "enable_uwf = true"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

fn settings(folder: &Path, ufw: &Path) -> FirewallSettings {
    FirewallSettings {
        ssh_ports: vec![22.try_into().unwrap()],
        ufw_path: ufw.to_owned(),
        lock_path: folder.join("lock"),
        ..FirewallSettings::default()
    }
}

fn firewall(folder: &Path, ufw: &Path) -> Firewall {
    Firewall::new(settings(folder, ufw), "wg0", 51820)
}
