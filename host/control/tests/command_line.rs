//! The command line: what it makes, prints and refuses.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Plane, run};
use servos_mesh::EnrolmentToken;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_a_control_plane_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b");
    let arguments =
        ["init", "--organisation", "acme", "--url", "https://[2001:db8::1]:8443/", "--domain", "acme.internal"];
    let output = run(&data, &arguments, "");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("printf %s '")).expect("no line to run on a server");
    let token = line.strip_prefix("printf %s '").and_then(|rest| rest.strip_suffix("' | servos-agent commission"));
    let token: EnrolmentToken = token.unwrap().parse().unwrap();
    assert_eq!(token.url(), "https://[2001:db8::1]:8443");
    assert!(token.fingerprint().is_some());

    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("tls-key.pem")), 0o600);
    assert_eq!(mode(&data.join("control.db")), 0o600);
    let list = run(&data, &["--json", "organisation", "list"], "");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list[0]["name"], "acme");
    assert_eq!(list[0]["domain"], "acme.internal");
}

#[test]
fn init_twice_says_what_is_there_and_destroys_nothing() {
    let plane = Plane::new();
    let files = || {
        let read = |name: &str| std::fs::read(plane.path().join(name)).unwrap();
        (
            read("tls-certificate.pem"),
            read("tls-key.pem"),
            plane.json(&["token", "list"]),
            plane.json(&["organisation", "list"]),
        )
    };
    let before = files();
    let words = plane.fails(1, &["init", "--organisation", "other", "--url", "https://elsewhere.test"]);
    assert!(
        words.contains("already") && words.contains("acme") && words.contains("https://control.test:8443"),
        "{words}"
    );
    assert_eq!(files(), before);
}

#[test]
fn init_leaves_a_folder_of_somebody_else_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "precious").unwrap();
    let output = run(folder.path(), &["init", "--organisation", "acme", "--url", "https://control.test"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(mode(folder.path()), 0o755);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn without_pin_the_token_has_no_fingerprint_and_serve_wants_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        run(folder.path(), &["--json", "init", "--organisation", "a", "--url", "https://c.test", "--no-pin"], "");
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let token: EnrolmentToken = made["token"].as_str().unwrap().parse().unwrap();
    assert!(token.fingerprint().is_none());
    assert!(!folder.path().join("tls-key.pem").exists());
    let refused = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--tls-cert"));
}

#[test]
fn serve_refuses_a_certificate_that_servers_do_not_know() {
    let plane = Plane::new();
    let other = servos_control::tls::self_signed("control.test").unwrap();
    let certificate = plane.file("other.pem", &other.certificate);
    let key = plane.file("other-key.pem", &other.key);
    let words = plane.fails(1, &["serve", "--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key]);
    assert!(words.contains("another certificate"), "{words}");
}

#[test]
fn usage_errors_end_with_2_and_failures_with_1() {
    let plane = Plane::new();
    for wrong in [
        &["frobnicate"][..],
        &["init", "--organisation", "a", "--url", "http://plain.test"],
        &["init", "--organisation", "a", "--url", "https://c.test", "--domain", "no_domain"],
        &["token", "create", "--uses", "0"],
        &["token", "create", "--uses", "2", "--reusable"],
        &["token", "create", "--expires", "soon"],
        &["token", "create", "--expires", "0s"],
        &["organisation", "delete", "acme"],
        &["serve", "--tls-cert", "only.pem"],
    ] {
        plane.fails(2, wrong);
    }
    for (wrong, word) in [
        (&["organisation", "create", "acme"][..], "already"),
        (&["organisation", "create", " blank"], "blank"),
        (&["token", "list", "--organisation", "nobody"], "organisation list"),
        (&["token", "revoke", "4711"], "token list"),
        (&["server", "show", "nobody"], "server list"),
        (&["server", "delete", "nobody", "--yes"], "server list"),
        (&["resource", "show", "nothing"], "resource list"),
        (&["resource", "delete", "nothing"], "resource list"),
        (&["resource", "apply", "-f", "/nonexistent.yaml"], "/nonexistent.yaml"),
    ] {
        let words = plane.fails(1, wrong);
        assert!(words.contains(word), "{wrong:?}: {words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
    let nowhere = run(Path::new("/nonexistent"), &["organisation", "list"], "");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("servos-control init"));
    assert!(!Path::new("/nonexistent").exists());
}

#[test]
fn the_organisation_may_be_left_out_while_there_is_one() {
    let plane = Plane::new();
    assert_eq!(plane.json(&["token", "create"])["organisation"], "acme");
    plane.ok(&["organisation", "create", "umbrella"]);
    let words = plane.fails(1, &["token", "create"]);
    assert!(words.contains("--organisation") && words.contains("acme") && words.contains("umbrella"), "{words}");
    plane.ok(&["organisation", "delete", "umbrella", "--yes"]);
    assert_eq!(plane.json(&["token", "create"])["organisation"], "acme");
}

#[test]
fn a_token_is_shown_once_and_kept_as_a_hash() {
    let plane = Plane::new();
    let made = plane.json(&["token", "create", "--uses", "3"]);
    let token: EnrolmentToken = made["token"].as_str().unwrap().parse().unwrap();
    let listed = plane.json(&["token", "list"]);
    let last = listed.as_array().unwrap().last().unwrap();
    assert_eq!((&last["id"], &last["state"], &last["uses_left"]), (&made["id"], &"usable".into(), &3.into()));
    let bytes = std::fs::read(plane.database()).unwrap();
    let secret = EnrolmentToken::secret_from_bearer(&token.bearer()).unwrap();
    assert!(!bytes.windows(32).any(|window| window == *secret));
    assert!(bytes.windows(32).any(|window| window == EnrolmentToken::secret_hash(&secret)));
    let id = made["id"].to_string();
    plane.ok(&["token", "revoke", &id]);
    assert_eq!(plane.json(&["token", "list"]).as_array().unwrap().last().unwrap()["state"], "revoked");
}

#[test]
fn help_and_completion_know_every_command() {
    let plane = Plane::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = plane.ok(&["completion", shell]);
        for command in ["init", "serve", "organisation", "token", "server", "resource"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    assert!(plane.ok(&["resource", "apply", "--help"]).contains("--dry-run"));
}
