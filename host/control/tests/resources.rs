//! `resource apply`: what a file may say, and how what it may not is told.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use common::{Plane, run};
use servos_control::clock::UnixSeconds;
use servos_control::resources_file::ResourcesFile;
use servos_control::secrets;
use servos_control::store::{Joining, Store};
use servos_mesh::EnrolmentToken;

/// All problems of a text in a mesh with servers s1 and s2.
fn problems(text: &str) -> String {
    let file = match ResourcesFile::parse("r.yaml", text.to_owned()) {
        Ok(file) => file,
        Err(problems) => return problems.to_string(),
    };
    file.check(|name| ["s1", "s2"].contains(&name)).map_or_else(|problems| problems.to_string(), |_| String::new())
}

fn join(store: &mut Store, token: &EnrolmentToken, name: &str) {
    let hash = secrets::hash_of_bearer(&token.bearer()).unwrap();
    let public_key = common::random_key().parse().unwrap();
    let joining = Joining { name: name.parse().unwrap(), public_key, endpoint: None };
    store.enrol(&hash, &joining, UnixSeconds::now()).unwrap();
}

/// With servers s1 and s2.
fn plane() -> Plane {
    let plane = Plane::new();
    let token = plane.token(&["--reusable"]);
    let mut store = plane.store();
    join(&mut store, &token, "s1");
    join(&mut store, &token, "s2");
    plane
}

#[test]
fn each_mistake_is_told_with_line_column_field_and_remedy() {
    let one = |line: &str| format!("resources:\n  - name: api\n    protocol: http\n    port: 80\n    {line}\n");
    for (text, told) in [
        ("resources:\n  - name: api\n   port: 80\n".to_owned(), "r.yaml:3:4: is no YAML: "),
        ("resources: [\n".to_owned(), "r.yaml:2:1: is no YAML: "),
        (String::new(), "nothing stands where fields belong"),
        ("[]".to_owned(), "r.yaml:1:1: a list stands where fields belong"),
        (
            "resources: []\nresource: []".to_owned(),
            "r.yaml:2:11: resource: there is no such field: there are resources",
        ),
        ("resources: 7".to_owned(), "r.yaml:1:12: resources: 7 is not a list of resources"),
        ("resources:\n  - just text\n".to_owned(), "r.yaml:2:5: resources[0]: \"just text\" stands where fields"),
        ("resources:\n  - { protocol: tcp, port: 1 }\n".to_owned(), "r.yaml:2:5: resources[0]: has no `name`: add it"),
        ("resources:\n  - { name: a, port: 1 }\n".to_owned(), "resources[0]: has no `protocol`"),
        ("resources:\n  - { name: a, protocol: tcp }\n".to_owned(), "resources[0]: has no `port`"),
        (
            "resources:\n  - { name: web_1, protocol: tcp, port: 1 }\n".to_owned(),
            "r.yaml:2:13: resources[0].name: \"web_1\" is no DNS label",
        ),
        ("resources:\n  - { name: API, protocol: tcp, port: 1 }\n".to_owned(), "use a-z, 0-9 and '-'"),
        ("resources:\n  - { name: s1, protocol: tcp, port: 1 }\n".to_owned(), "s1 is the name of a server"),
        (
            "resources:\n  - { name: a, protocol: ftp, port: 1 }\n".to_owned(),
            "\"ftp\" is no protocol: write http, tcp or udp",
        ),
        (
            "resources:\n  - { name: a, protocol: tcp, port: 0 }\n".to_owned(),
            "resources[0].port: 0 is no port: give a number from 1 to 65535",
        ),
        ("resources:\n  - { name: a, protocol: tcp, port: 65536 }\n".to_owned(), "65536 is no port"),
        ("resources:\n  - { name: a, protocol: tcp, port: eighty }\n".to_owned(), "\"eighty\" is no port"),
        (one("name: twice"), "r.yaml:2:5: is no YAML: "),
        (
            one("enable_mesh_failover: perhaps"),
            "r.yaml:5:27: resources[0].enable_mesh_failover: \"perhaps\" is neither true nor false",
        ),
        (one("failover: true"), "r.yaml:5:15: resources[0].failover: there is no such field: there are name, protocol"),
        (one("hosts: api.example.org"), "is not a list of host names"),
        (one("hosts: [api.example.org, 'no host']"), "r.yaml:5:30: resources[0].hosts[1]: \"no host\""),
        (one("hosts: [a.example, a.example]"), "hosts[1]: a.example stands here twice"),
        (one("labels: [a]"), "labels: a list is no mapping"),
        (one("labels: { a: [b] }"), "labels: a: a list is no text"),
        (one("labels: { '': b }"), "labels: a label without key"),
        (one("health_check: { path: healthz }"), "health_check.path: health check path must start with '/'"),
        (one("health_check: { interval: 5 }"), "health_check.interval: 5 is no duration: write 500ms"),
        (one("health_check: { interval: soon }"), "health_check.interval: \"soon\" is no duration"),
        (one("health_check: { interval: 1ms }"), "health_check.interval: health check with an interval outside 100 ms"),
        (one("health_check: { timeout: 2h }"), "health_check.timeout: health check with a timeout outside 1 ms"),
        (
            one("health_check: { timeout: 1500us }"),
            "health_check.timeout: \"1500us\" is no whole number of milliseconds",
        ),
        (one("health_check: { every: 1s }"), "health_check.every: there is no such field"),
        (
            one("instances: [{ server: s9, port: 1 }]"),
            "r.yaml:5:27: resources[0].instances[0].server: there is no server s9: `servos-control server list`",
        ),
        (one("instances: [{ port: 1 }]"), "instances[0]: has no `server`"),
        (one("instances: [{ server: s1, port: 0 }]"), "instances[0].port: 0 is no port"),
        (
            one("instances: [{ server: s1, port: 1, weight: 1001 }]"),
            "instances[0].weight: 1001 is no weight: give a number from 0 to 1000",
        ),
        (one("instances: [{ server: s1, port: 1, weight: -1 }]"), "-1 is no weight"),
        (
            one("instances: [{ server: s1, port: 1 }, { server: s1, port: 1 }]"),
            "instances[1]: port 1 of s1 is instances[0] already",
        ),
    ] {
        let found = problems(&text);
        assert!(found.contains(told), "{text}\nis told: {found}\ninstead of: {told}");
        assert_eq!(found.lines().count(), 1, "{text}\nis told: {found}");
        assert!(found.starts_with("r.yaml:"), "{found}");
    }
}

#[test]
fn all_mistakes_are_told_in_one_go_in_the_order_of_lines() {
    let text = "
resources:
  - name: api
    protocol: http
    port: 0
    wieght: 3
    health_check: { path: healthz, interval: 1ms }
    instances:
      - { server: s9, port: 8080 }
      - { server: s1, port: 8080, weight: 5000 }
  - name: api
    protocol: tcp
    port: 1
";
    let found = problems(text);
    let lines: Vec<_> = found.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    let fields = [
        "resources[0].port",
        "resources[0].wieght",
        "resources[0].health_check.path",
        "resources[0].health_check.interval",
        "resources[0].instances[0].server",
        "resources[0].instances[1].weight",
        "resources[1].name",
    ];
    assert_eq!(lines, fields, "{found}");
    assert!(found.contains("r.yaml:11:11: resources[1].name: api is the name of resources[0] already"), "{found}");
}

#[test]
fn a_good_file_is_taken_whole() {
    assert_eq!(problems("resources: []"), "");
    let merged = "
resources:
  - &base { name: a, protocol: http, port: 80, health_check: {} }
  - { <<: *base, name: b }
";
    assert_eq!(problems(merged), "");
}

#[test]
fn nothing_is_applied_unless_all_of_it_is_good() {
    let plane = plane();
    let good = "{ name: good, protocol: tcp, port: 1 }";
    let file = plane.file("r.yaml", &format!("resources: [{good}, {{ name: bad, protocol: tcp, port: 0 }}]"));
    let before = plane.json(&["organisation", "list"]);
    let words = plane.fails(1, &["resource", "apply", "-f", &file]);
    assert!(words.contains(&format!("{file}:1:")) && words.contains("resources[1].port"), "{words}");
    assert_eq!(plane.json(&["organisation", "list"]), before);
    let output = run(&plane.path(), &["--json", "resource", "apply", "-f", &file], "");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["list"][0]["field"], "resources[1].port");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn apply_says_what_it_did_and_changes_no_more_than_that() {
    let plane = plane();
    let actions = |applied: &serde_json::Value| {
        let list = applied["resources"].as_array().unwrap();
        list.iter()
            .map(|one| format!("{}:{}", one["name"].as_str().unwrap(), one["action"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let a = "{ name: a, protocol: tcp, port: 1, instances: [{ server: s2, port: 1 }, { server: s1, port: 1 }] }";
    let b = "{ name: b, protocol: udp, port: 2 }";
    let first = plane.apply(&format!("resources: [{b}, {a}]"));
    assert_eq!(actions(&first), ["a:created", "b:created"]);
    let same = plane.apply(&format!("resources: [{a}]"));
    assert_eq!(actions(&same), ["a:unchanged"]);
    assert_eq!(same["revision"], first["revision"]);
    let changed = plane.apply(&format!("resources: [{}]", a.replace("s2, port: 1", "s2, port: 2")));
    assert_eq!(actions(&changed), ["a:changed"]);
    assert!(changed["revision"].as_u64() > first["revision"].as_u64());

    let file = plane.file("prune.yaml", &format!("resources: [{a}]"));
    let dry = plane.json(&["resource", "apply", "-f", &file, "--prune", "--dry-run"]);
    assert_eq!(actions(&dry), ["a:changed", "b:removed"]);
    assert_eq!(dry["revision"], changed["revision"]);
    assert_eq!(plane.json(&["resource", "list"]).as_array().unwrap().len(), 2);
    let pruned = plane.json(&["resource", "apply", "-f", &file, "--prune"]);
    assert_eq!(actions(&pruned), ["a:changed", "b:removed"]);
    assert_eq!(plane.json(&["resource", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn what_show_prints_can_be_applied_again() {
    let plane = plane();
    plane.apply(
        "resources: [{ name: a, protocol: http, port: 80, enable_mesh_failover: true, hosts: [a.example], labels: { k: 1 },
          health_check: { path: /x, timeout: 1s }, instances: [{ server: s1, port: 8080, weight: 0 }] }]",
    );
    let shown = plane.ok(&["resource", "show", "a"]);
    let again = run(&plane.path(), &["--json", "resource", "apply", "-f", "-"], &shown);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["resources"][0]["action"], "unchanged", "{shown}");
    assert_eq!(plane.json(&["server", "show", "s1"])["resources"], serde_json::json!(["a"]));
    plane.ok(&["server", "delete", "s1", "--yes"]);
    assert_eq!(plane.json(&["resource", "show", "a"])["instances"], serde_json::json!([]));
}

#[test]
fn problems_beyond_count_are_summed_up() {
    let many: String = (0..150).map(|n| format!("  - {{ name: r{n}, protocol: tcp, port: 0 }}\n")).collect();
    let found = problems(&format!("resources:\n{many}"));
    assert_eq!(found.lines().count(), 101);
    assert!(found.ends_with("r.yaml: and 50 more"), "{found}");
}
