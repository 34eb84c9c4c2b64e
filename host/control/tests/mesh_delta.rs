//! What changed, where the whole mesh would be more than was asked for.

#![cfg(test)]

mod common;

use common::{Client, Plane, delta_of, header, names, state_of};
use reqwest::header::IF_NONE_MATCH;
use reqwest::{Method, RequestBuilder, StatusCode};

/// Asks for what changed since one of `known`.
fn since(client: &Client, credential: &str, known: &str) -> RequestBuilder {
    client.config(credential).header(IF_NONE_MATCH, known).header("a-im", "servos-mesh-delta")
}

/// Changes where a server is reached.
async fn report_port(client: &Client, credential: &str, port: u16) {
    let report = serde_json::json!({ "ip": "192.0.2.7", "port": port });
    let put = client.request(Method::PUT, "/api/v1/server/endpoint", credential).json(&report);
    assert_eq!(put.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_follows_by_deltas() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let first = client.state(&credential).await;
    let mut state = first;
    for name in ["s2", "s3", "s4"] {
        client.join(&plane, "acme", name).await;
        let response = since(&client, &credential, &state.revision().etag()).send().await.unwrap();
        assert_eq!(header(&response, "cache-control"), "no-store", "a delta is not the mesh");
        assert!(header(&response, "vary").contains("authorization"));
        let (delta, next) = delta_of(response, &state).await;
        assert_eq!((delta.peers().len(), delta.removed().len(), delta.services().len()), (1, 0, 0));
        let whole = client.state(&credential).await;
        assert_eq!(next.body(), whole.body(), "to the byte what the whole is");
        state = whole;
    }
    let yaml = "
resources:
  - { name: api, protocol: tcp, port: 1, instances: [{ server: s4, port: 1 }] }
  - { name: db, protocol: tcp, port: 2, instances: [{ server: s3, port: 1 }] }
";
    plane.apply(yaml);
    // Another process changed it: a held poll hears of it.
    let held = since(&client, &credential, &state.revision().etag()).header("prefer", "wait=60");
    let (delta, next) = delta_of(held.send().await.unwrap(), &state).await;
    assert_eq!((delta.peers().len(), delta.services().len()), (0, 2));
    assert_eq!(next.body(), client.state(&credential).await.body());

    // A server that leaves takes its instance with it.
    plane.ok(&["server", "delete", "s4", "--yes"]);
    let held = since(&client, &credential, &next.revision().etag()).header("prefer", "wait=60");
    let (delta, after) = delta_of(held.send().await.unwrap(), &next).await;
    assert_eq!((delta.removed().len(), delta.services().len()), (1, 1), "the service that it had an instance of");
    assert_eq!(delta.services()[0].name.as_str(), "api");
    assert_eq!(names(&after), ["s1", "s2", "s3"]);
}

/// Else the first change after a restart would send the whole mesh to everybody at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_current_when_the_control_plane_starts_follows_by_deltas() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    client.join(&plane, "acme", "s2").await;
    let before = client.state(&credential).await;
    let etag = before.revision().etag();
    drop(client);

    let client = plane.serve().await;
    let held = since(&client, &credential, &etag).header("prefer", "wait=1").send().await.unwrap();
    assert_eq!(held.status(), StatusCode::NOT_MODIFIED);
    report_port(&client, &credential, 9_999).await;

    let response = since(&client, &credential, &etag).send().await.unwrap();
    let (delta, after) = delta_of(response, &before).await;
    assert_eq!(delta.peers().len(), 1);
    assert_eq!(after.body(), client.state(&credential).await.body());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lags_behind_gets_one_delta_for_all() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let mut states = vec![client.state(&credential).await];
    let (leaver, _) = client.join(&plane, "acme", "s2").await;
    states.push(client.state(&credential).await);
    for name in ["s3", "s4", "s5", "s6"] {
        client.join(&plane, "acme", name).await;
        states.push(client.state(&credential).await);
    }
    client.request(Method::DELETE, "/api/v1/server", &leaver).send().await.unwrap();
    let last = client.state(&credential).await;
    for (at, before) in states.iter().enumerate() {
        let response = since(&client, &credential, &before.revision().etag()).send().await.unwrap();
        let (delta, next) = delta_of(response, before).await;
        assert_eq!(next.body(), last.body(), "from state {at}");
        assert_eq!(delta.removed().len(), 1, "s2 is named even to those who never knew it");
    }
    // Of several, the latest; what nobody can know is passed over.
    let list = format!("\"999999\", {}, {}, \"x\"", states[1].revision().etag(), states[4].revision().etag());
    let response = since(&client, &credential, &list).send().await.unwrap();
    delta_of(response, &states[4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_is_sent_where_no_delta_will_do() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let before = client.state(&credential).await;
    let mut leavers = Vec::new();
    for number in 2..40 {
        leavers.push(client.join(&plane, "acme", &format!("s{number}")).await.0);
    }
    let full = client.state(&credential).await;
    let etag = before.revision().etag();

    // Not asked for, refused, of something as good, unknown, current.
    let plain = client.config(&credential).header(IF_NONE_MATCH, &etag);
    let refused = client.config(&credential).header(IF_NONE_MATCH, &etag).header("a-im", "servos-mesh-delta;q=0");
    for request in [
        plain,
        refused,
        since(&client, &credential, &format!("W/{etag}")),
        since(&client, &credential, "\"999999\""),
        since(&client, &credential, "nonsense"),
        client.config(&credential).header("a-im", "servos-mesh-delta"),
    ] {
        assert_eq!(state_of(request.send().await.unwrap()).await.revision(), full.revision());
    }
    let current = since(&client, &credential, &full.revision().etag()).send().await.unwrap();
    assert_eq!(current.status(), StatusCode::NOT_MODIFIED);

    // More would be named than is left.
    for leaver in &leavers {
        client.request(Method::DELETE, "/api/v1/server", leaver).send().await.unwrap();
    }
    let response = since(&client, &credential, &full.revision().etag()).send().await.unwrap();
    let small = state_of(response).await;
    assert_eq!(names(&small), ["s1"]);
    let longer = servos_mesh::MeshDelta::between(&full, &small).unwrap().unwrap();
    assert!(longer.body().len() >= small.body().len(), "else this shows nothing");
}
