//! A server's key gives way to another: who may, which one, and what peers are told of it.

#![cfg(test)]

mod common;

use common::{Client, Plane, random_key, refusal};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use servos_control::allocation::AddressPool;
use servos_mesh::{MeshState, PublicKey};

impl Client {
    async fn set_key(&self, credential: &str, key: &str) -> Response {
        let request = self.request(Method::PUT, "/api/v1/server/key", credential);
        request.json(&json!({ "public_key": key })).send().await.unwrap()
    }
}

/// Key, generation and revision of a server's record.
fn record(state: &MeshState, name: &str) -> (PublicKey, u8, u32) {
    let peer = state.peers().iter().find(|peer| state.name_of(peer) == name).unwrap();
    (*peer.public_key(), peer.key_generation().number(), peer.since())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_the_generation_and_the_revision_change_together_and_once() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (one, _) = client.join(&plane, "acme", "s1").await;
    let (two, _) = client.join(&plane, "acme", "s2").await;
    let before = client.state(&two).await;
    let (_, generation, _) = record(&before, "s1");
    assert_eq!(generation, 0);
    let key = random_key();

    assert_eq!(client.set_key(&one, &key).await.status(), StatusCode::NO_CONTENT);

    let after = client.state(&two).await;
    let revision = after.revision();
    assert!(revision > before.revision());
    assert_eq!(record(&after, "s1"), (key.parse().unwrap(), 1, revision.0 as u32));
    assert_eq!(record(&after, "s2"), record(&before, "s2"));
    // Told again, since the answer may have been lost: nothing changes, nobody is woken.
    assert_eq!(client.set_key(&one, &key).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(client.state(&two).await.revision(), revision);
    assert_eq!(plane.json(&["server", "show", "s1"])["public_key"], key);
    assert_eq!(plane.json(&["server", "show", "s1"])["key_generation"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_server_has_is_refused_whatever_its_organisation() {
    let plane = Plane::new();
    plane.ok(&["organisation", "create", "other"]);
    let client = plane.serve().await;
    let (one, _) = client.join(&plane, "acme", "s1").await;
    let (two, _) = client.join(&plane, "other", "s2").await;
    let taken = record(&client.state(&two).await, "s2").0;
    let before = client.state(&one).await.revision();

    let (status, code, message) = refusal(client.set_key(&one, &taken.to_string()).await).await;

    assert_eq!((status, code.as_str()), (409, "key-taken"), "{message}");
    assert_eq!(client.state(&one).await.revision(), before);
}

/// Its owner answers it during the transition, and peers that have not heard send to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_rotated_away_is_nobody_elses() {
    let plane = Plane::new();
    plane.ok(&["organisation", "create", "other"]);
    let client = plane.serve().await;
    let (one, _) = client.join(&plane, "acme", "s1").await;
    let (two, _) = client.join(&plane, "other", "s2").await;
    let first = record(&client.state(&one).await, "s1").0.to_string();
    client.set_key(&one, &random_key()).await.error_for_status().unwrap();
    let mut joining = common::enrolment("s3");
    joining["public_key"] = json!(first);
    let bearer = plane.token(&["--organisation", "acme"]).bearer();

    assert_eq!(refusal(client.set_key(&two, &first).await).await.1, "key-taken");
    assert_eq!(refusal(client.enrol_with(&bearer, &joining).await).await.1, "key-taken");

    // Its owner may go back to it.
    client.set_key(&one, &first).await.error_for_status().unwrap();
    let (key, generation, _) = record(&client.state(&one).await, "s1");
    assert_eq!((key.to_string(), generation), (first.clone(), 2));
    // One that was given up two rotations ago is answered by nobody.
    for _ in 0..2 {
        client.set_key(&one, &random_key()).await.error_for_status().unwrap();
    }
    assert_eq!(client.enrol_with(&bearer, &joining).await.status(), StatusCode::CREATED);
}

/// With a stolen credential somebody could take the server's place: this is how an operator sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_logged_as_a_warning_with_both_keys() {
    let plane = Plane::new();
    let serving = plane.serve_process();
    let client = serving.client();
    let (one, _) = client.join(&plane, "acme", "s1").await;
    let before = record(&client.state(&one).await, "s1").0.to_string();
    let key = random_key();

    client.set_key(&one, &key).await.error_for_status().unwrap();

    let logged = serving.logged("a server rotated its key");
    assert_eq!(logged["level"], "WARN");
    assert_eq!((&logged["organisation"], &logged["server"]), (&json!("acme"), &json!("s1")));
    assert_eq!((&logged["previous_key"], &logged["public_key"]), (&json!(before), &json!(key)));
    assert_eq!(logged["generation"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_nonsense_are_refused() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (one, _) = client.join(&plane, "acme", "s1").await;
    let refused = refusal(client.set_key("no-credential", &random_key()).await).await;
    assert_eq!((refused.0, refused.1.as_str()), (401, "unknown-credential"));
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let one_point = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for key in ["", "none", zero, one_point] {
        let refused = refusal(client.set_key(&one, key).await).await;
        assert_eq!((refused.0, refused.1.as_str()), (400, "malformed-request"), "{key:?}");
    }
    plane.ok(&["server", "delete", "s1", "--yes"]);
    let until = tokio::time::Instant::now() + common::DEADLINE;
    while client.set_key(&one, &random_key()).await.status() != StatusCode::UNAUTHORIZED {
        assert!(tokio::time::Instant::now() < until, "the credential of a deleted server is still good");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Nobody may take the next owner of an address for the last one with another key.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_owner_of_an_address_is_no_rotation_of_the_last() {
    let plane = Plane::new();
    let client = plane.serve_pool(AddressPool { first: 1, last: 2 }).await;
    let (watcher, _) = client.join(&plane, "acme", "watcher").await;
    let (one, address) = client.join(&plane, "acme", "s1").await;
    for _ in 0..3 {
        client.set_key(&one, &random_key()).await.error_for_status().unwrap();
    }
    let old = client.state(&watcher).await;
    client.request(Method::DELETE, "/api/v1/server", &one).send().await.unwrap().error_for_status().unwrap();

    let (_, same) = client.join(&plane, "acme", "s1").await;

    assert_eq!(same, address);
    let next = client.state(&watcher).await;
    assert_eq!((record(&old, "s1").1, record(&next, "s1").1), (3, 131));
}
