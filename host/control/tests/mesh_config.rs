//! What servers are told, and when.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, DEADLINE, Plane, header, names, refusal, state_of};
use reqwest::header::IF_NONE_MATCH;
use reqwest::{Method, Response, StatusCode};
use servos_mesh::{MeshState, PeerTable, Protocol};
use tokio::task::JoinHandle;

const API: &str = "
resources:
  - name: api
    protocol: http
    port: 80
    enable_mesh_failover: true
    hosts: [api.example.org]
    labels: { team: web, tier: 1 }
    health_check: { path: /healthz, interval: 500ms, timeout: 400ms }
    instances:
      - { server: s2, port: 8080, weight: 200 }
      - { server: s1, port: 8080 }
";

/// A poll that is held, with what the server knows.
fn hold(client: &Client, credential: &str, etag: &str) -> JoinHandle<Response> {
    let request = client.config(credential).header(IF_NONE_MATCH, etag).header("prefer", "wait=60");
    tokio::spawn(async move { request.timeout(DEADLINE + DEADLINE).send().await.unwrap() })
}

fn services(state: &MeshState) -> Vec<&str> {
    state.services().iter().map(|service| service.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_told_of_its_mesh_and_its_resources() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, address) = client.join(&plane, "acme", "s1").await;
    client.join(&plane, "acme", "s2").await;
    plane.apply(API);
    let token = plane.json(&["organisation", "list"]);
    // The change was another process's: it is noticed soon, not at once.
    let response = hold(&client, &credential, "\"1\"").await.unwrap();
    let mut state = state_of(response).await;
    while state.services().is_empty() {
        state = state_of(hold(&client, &credential, &state.revision().etag()).await.unwrap()).await;
    }
    assert_eq!(state.organisation(), "acme");
    assert_eq!(state.domain().as_str(), "mesh.internal");
    assert_eq!(state.revision().0, token[0]["revision"].as_u64().unwrap());
    assert_eq!(names(&state), ["s1", "s2"]);
    assert_eq!(state.peers()[0].address().to_string(), address);
    let table = PeerTable::new(Arc::new(state), None);
    let api = table.service("api").unwrap();
    assert_eq!((api.protocol, api.port, api.mesh_failover), (Protocol::Http, 80, true));
    assert_eq!(api.hosts[0].as_str(), "api.example.org");
    assert_eq!(api.labels, [("team".to_owned(), "web".to_owned()), ("tier".to_owned(), "1".to_owned())]);
    let check = api.health_check.as_ref().unwrap();
    assert_eq!(check.path.as_deref(), Some("/healthz"));
    assert_eq!((check.interval, check.timeout), (Duration::from_millis(500), Duration::from_millis(400)));
    let weights: Vec<_> = api
        .instances
        .iter()
        .map(|i| (table.name_of(table.server_by_address(i.server()).unwrap()), i.port(), i.weight()))
        .collect();
    assert_eq!(weights, [("s1", 8080, 100), ("s2", 8080, 200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_revision_is_answered_304_however_it_is_listed() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let full = client.config(&credential).send().await.unwrap();
    let (etag, cache, vary) = (header(&full, "etag"), header(&full, "cache-control"), header(&full, "vary"));
    assert!(etag.starts_with('"') && cache.contains("private") && vary.contains("authorization"));
    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", W/\"x,y\" ,{etag}"), "*".to_owned()] {
        let response = client.config(&credential).header(IF_NONE_MATCH, &known).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!((header(&response, "etag"), header(&response, "cache-control")), (etag.clone(), cache.clone()));
        assert_eq!((header(&response, "vary"), header(&response, "preference-applied")), (vary.clone(), String::new()));
        assert!(response.bytes().await.unwrap().is_empty());
    }
    let two_fields = client.config(&credential).header(IF_NONE_MATCH, "\"a\"").header(IF_NONE_MATCH, &etag);
    assert_eq!(two_fields.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let bare = etag.trim_matches('"');
    for other in ["\"1\"", bare, &format!("{etag} \"x\""), "", "\"*\""] {
        let response = client.config(&credential).header(IF_NONE_MATCH, other).send().await.unwrap();
        assert_eq!(state_of(response).await.revision().etag(), etag, "{other}");
    }
}

/// Also in the moment in which the mesh is encoded ahead of what was announced: another process changed it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_304_names_what_the_server_knows() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let mut store = plane.store();
    let hash = servos_control::secrets::hash_of_bearer(&credential).unwrap();
    let holder = store.credential_holder(&hash).unwrap().unwrap();
    for port in 1..=40_u16 {
        // The first change has to be in the next answer; the second is there too, and not announced yet.
        let report = serde_json::json!({ "ip": "192.0.2.7", "port": port });
        let put = client.request(Method::PUT, "/api/v1/server/endpoint", &credential).json(&report);
        assert_eq!(put.send().await.unwrap().status(), StatusCode::NO_CONTENT);
        let socket = ([192, 0, 2, 8], port).into();
        let endpoint = servos_control::endpoint::Endpoint { socket, origin: servos_control::endpoint::Origin::Told };
        store.set_endpoint(holder, endpoint, servos_control::clock::UnixSeconds::now()).unwrap();
        let etag = client.state(&credential).await.revision().etag();
        let response = client.config(&credential).header(IF_NONE_MATCH, &etag).send().await.unwrap();
        if response.status() == StatusCode::NOT_MODIFIED {
            assert_eq!(header(&response, "etag"), etag, "round {port}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_poll_ends_when_its_time_is_up_and_says_that_it_was_held() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let etag = client.state(&credential).await.revision().etag();
    // Its own joining may still be on its way to those who wait; then the first answer comes early.
    let asked = std::time::Instant::now();
    let request =
        client.config(&credential).header(IF_NONE_MATCH, etag).header("prefer", "respond-async, Wait = \"2\"; x");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&response, "preference-applied"), "wait=2");
    assert!(asked.elapsed() >= Duration::from_millis(1_500), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_poll_wakes_when_another_process_applies_resources() {
    let plane = Plane::new();
    let serving = plane.serve_process();
    let client = serving.client();
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    client.join(&plane, "acme", "s2").await;
    let etag = client.state(&credential).await.revision().etag();
    let held = hold(&client, &credential, &etag);
    plane.apply(API);
    let response = held.await.unwrap();
    assert_eq!(header(&response, "preference-applied"), "wait=60");
    let state = state_of(response).await;
    assert_eq!(services(&state), ["api"]);

    // What changes nothing wakes nobody: the next thing that is heard is the deletion.
    let held = hold(&client, &credential, &state.revision().etag());
    let again = plane.apply(API);
    assert_eq!(again["resources"][0]["action"], "unchanged");
    assert_eq!(again["revision"], state.revision().0);
    plane.ok(&["resource", "delete", "api"]);
    assert_eq!(services(&state_of(held.await.unwrap()).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_server_is_refused_at_once_also_while_it_waits() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (s1, _) = client.join(&plane, "acme", "s1").await;
    let (s2, _) = client.join(&plane, "acme", "s2").await;
    let etag = client.state(&s2).await.revision().etag();
    let (held_1, held_2) = (hold(&client, &s1, &etag), hold(&client, &s2, &etag));
    plane.ok(&["server", "delete", "s2", "--yes"]);
    let refused = refusal(held_2.await.unwrap()).await;
    assert_eq!((refused.0, refused.1.as_str()), (401, "unknown-credential"));
    assert_eq!(names(&state_of(held_1.await.unwrap()).await), ["s1"]);
    assert_eq!(refusal(client.config(&s2).send().await.unwrap()).await.0, 401);

    // One that leaves by itself.
    let left = client.request(Method::DELETE, "/api/v1/server", &s1).send().await.unwrap();
    assert_eq!(left.status(), StatusCode::NO_CONTENT);
    for (method, path) in [(Method::GET, "/api/v1/mesh/config"), (Method::DELETE, "/api/v1/server")] {
        assert_eq!(refusal(client.request(method, path, &s1).send().await.unwrap()).await.0, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn organisations_know_nothing_of_each_other() {
    let plane = Plane::new();
    let client = plane.serve().await;
    plane.ok(&["organisation", "create", "umbrella", "--domain", "umbrella.internal"]);
    let (acme, _) = client.join(&plane, "acme", "s1").await;
    let (umbrella, _) = client.join(&plane, "umbrella", "s1").await;
    client.join(&plane, "umbrella", "u2").await;
    let file = plane
        .file("u.yaml", "resources: [{ name: hive, protocol: tcp, port: 1, instances: [{ server: u2, port: 1 }] }]");
    plane.ok(&["resource", "apply", "-f", &file, "--organisation", "umbrella"]);
    let words = plane.fails(1, &["resource", "apply", "-f", &file, "--organisation", "acme"]);
    assert!(words.contains("no server u2"), "{words}");

    let before = client.state(&acme).await;
    let other = client.state(&umbrella).await;
    assert_ne!(before.mesh(), other.mesh());
    assert_eq!((names(&before), names(&other)), (vec!["s1".to_owned()], vec!["s1".to_owned(), "u2".to_owned()]));
    assert_eq!((before.organisation(), other.organisation()), ("acme", "umbrella"));

    // A change of one changes nothing for the other, and its end neither.
    let waiting = hold(&client, &umbrella, &other.revision().etag());
    plane.ok(&["organisation", "delete", "umbrella", "--yes"]);
    let mut ended = waiting.await.unwrap();
    while ended.status() == StatusCode::OK {
        let etag = header(&ended, "etag");
        ended = hold(&client, &umbrella, &etag).await.unwrap();
    }
    assert_eq!(refusal(ended).await.1, "unknown-credential");
    assert_eq!(client.state(&acme).await.revision(), before.revision());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_nobody_gets_nothing() {
    let plane = Plane::new();
    let client = plane.serve().await;
    for (method, path) in [
        (Method::GET, "/api/v1/mesh/config"),
        (Method::PUT, "/api/v1/server/endpoint"),
        (Method::DELETE, "/api/v1/server"),
    ] {
        for bearer in ["", "nonsense", &plane.first_token.bearer()] {
            let response = client.request(method.clone(), path, bearer).json("x").send().await.unwrap();
            assert_eq!(header(&response, "www-authenticate"), "Bearer");
            assert_eq!(refusal(response).await.1, "unknown-credential", "{method} {path} {bearer}");
        }
    }
    assert_eq!(refusal(client.request(Method::GET, "/api/v2/x", "").send().await.unwrap()).await.1, "not-found");
    let wrong = client.request(Method::GET, "/api/v1/enrol", "").send().await.unwrap();
    assert_eq!(refusal(wrong).await.1, "method-not-allowed");
    let health = client.request(Method::GET, "/healthz", "").send().await.unwrap();
    assert_eq!(health.text().await.unwrap(), "ok\n");
}
