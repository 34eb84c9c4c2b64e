//! `agent.toml`: defaults, and errors that name file, place and field.

use std::os::unix::fs::PermissionsExt as _;

use servos_agent::settings::{Settings, SettingsError, kept_settings};

fn load(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, text).expect("written");
    Settings::load(&path).map_err(|error| error.to_string())
}

#[test]
fn no_file_and_an_empty_one_mean_defaults() {
    let none = Settings::load("/nowhere/agent.toml".as_ref()).expect("no file is no error");
    assert_eq!((none.tunnel.interface.as_str(), none.tunnel.listen_port), ("wg0", 51_820));
    load("").expect("an empty file is none");
}

#[test]
fn the_file_that_commissioning_writes_is_read() {
    load(include_str!("../agent.toml")).expect("agent.toml");
}

#[test]
fn every_setting_that_it_shows_exists() {
    let mut text = String::new();
    for line in include_str!("../agent.toml").lines() {
        let shown = line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('['));
        text.push_str(shown.unwrap_or(line));
        text.push('\n');
    }
    load(&text).expect("what is commented out");
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (text, word) in [
        ("[tunnel]\ninterfaces = \"wg0\"\n", "interfaces"),
        ("[tunnel]\ninterface = \"wg/0\"\n", "tunnel.interface"),
        ("[tunnel]\ninterface = \"a-name-that-is-too-long\"\n", "tunnel.interface"),
        ("[tunnel]\nlisten_port = 0\n", "tunnel.listen_port"),
        ("[tunnel]\nmtu = 100\n", "tunnel.mtu"),
        ("[tunnel]\nrotate_key_every = \"often\"\n", "often"),
        ("[tunnel]\nrotate_key_every = \"1h\"\n", "tunnel.rotate_key_every"),
        ("[failover]\nprobe_interval = \"soon\"\n", "soon"),
        ("[plugins]\nrequire_signed = true\n", "without trusted_keys"),
        ("[plugins]\nrequire_signed = true\ntrusted_keys = [\"a2V5\"]\n", "no ed25519 public key"),
        ("[plugins]\ndisabled = [\"dns-namng\"]\n", "it has dns-naming, "),
        ("[plugins.settings.ufw]\n", "no plugin of the bundle"),
        ("[tunnel\n", "line 1"),
    ] {
        let error = load(text).expect_err("nonsense was taken");
        assert!(error.contains(word) && error.contains("agent.toml"), "{word:?} is not in {error}");
    }
}

#[test]
fn a_file_that_is_broken_leaves_the_settings_before_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.toml");
    let write = |text: &str| std::fs::write(&path, text).expect("written");
    let port = || {
        let (settings, problem) = Settings::load_or_kept(&path)?;
        Ok::<_, SettingsError>((settings.tunnel.listen_port, problem))
    };
    write("[tunnel]\nlisten_prt = 1\n");
    assert!(port().is_err(), "nothing was in force");
    assert!(Settings::keep(&path).is_err() && !kept_settings(&path).exists(), "it is of no use");

    write("[tunnel]\nlisten_port = 5\n");
    assert_eq!(port().expect("good").1, None);
    Settings::keep(&path).expect("kept");
    assert_eq!(std::fs::metadata(kept_settings(&path)).expect("a file").permissions().mode() & 0o777, 0o600);
    write("[tunnel]\nlisten_prt = 6\n");
    let (before, problem) = port().expect("what was kept");
    let problem = problem.expect("what is wrong");
    assert_eq!(before, 5);
    assert!(["listen_prt", "line 2", "agent.toml.kept"].iter().all(|word| problem.contains(word)), "{problem}");

    // None at all are settings, too.
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(port().expect("defaults").0, 51_820);
    Settings::keep(&path).expect("kept");
    write("?");
    assert_eq!(port().expect("what was kept").0, 51_820);
    std::fs::write(kept_settings(&path), "?").expect("written");
    assert!(port().is_err());
}
