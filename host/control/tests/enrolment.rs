//! Joining: tokens good and bad, names, keys, addresses.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{Plane, enrolment, header, names, refusal};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use servos_control::allocation::AddressPool;
use servos_control::clock::UnixSeconds;
use servos_control::limits::ENROL_FAILURES;
use servos_mesh::EnrolmentToken;

/// A token that ended a second ago.
fn expired(plane: &Plane) -> EnrolmentToken {
    let mut store = plane.store();
    let organisation = store.organisation(None).unwrap().id;
    let now = UnixSeconds::now();
    let minted = store.create_token(organisation, now.before(Duration::from_secs(1)), None, now).unwrap();
    EnrolmentToken::new("https://control.test:8443", None, *minted.secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_with_its_reason_only_if_its_secret_is_right() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let once = plane.token(&[]);
    assert_eq!(client.enrol(&once.bearer(), "s1").await.status(), StatusCode::CREATED);
    let revoked = plane.json(&["token", "create"]);
    plane.ok(&["token", "revoke", &revoked["id"].to_string()]);
    let revoked: EnrolmentToken = revoked["token"].as_str().unwrap().parse().unwrap();
    let wrong = EnrolmentToken::new("https://control.test:8443", None, [7; 32]);
    for (bearer, status, code) in [
        (once.bearer().as_str(), 403, "token-used-up"),
        (revoked.bearer().as_str(), 403, "token-revoked"),
        (expired(&plane).bearer().as_str(), 403, "token-expired"),
        (wrong.bearer().as_str(), 401, "unknown-token"),
        ("no-base64-of-32-bytes", 401, "unknown-token"),
    ] {
        let refused = refusal(client.enrol(bearer, "s2").await).await;
        assert_eq!((refused.0, refused.1.as_str()), (status, code), "{}", refused.2);
        assert!(refused.2.contains("servos-control token create"), "{}", refused.2);
    }
    assert_eq!(plane.json(&["server", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_serves_as_often_as_it_says() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let twice = plane.token(&["--uses", "2"]);
    for (name, status) in [("a", 201), ("b", 201), ("c", 403)] {
        assert_eq!(client.enrol(&twice.bearer(), name).await.status(), status, "{name}");
    }
    let reusable = plane.token(&["--reusable"]);
    for name in ["d", "e", "f"] {
        assert_eq!(client.enrol(&reusable.bearer(), name).await.status(), StatusCode::CREATED, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_is_refused_and_does_not_use_the_token_up() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let first = enrolment("s1");
    let token = plane.token(&["--uses", "2"]);
    assert_eq!(client.enrol_with(&token.bearer(), &first).await.status(), StatusCode::CREATED);
    plane.apply("resources: [{ name: api, protocol: http, port: 80 }]");
    let same_key = json!({ "name": "s2", "public_key": first["public_key"], "endpoint": first["endpoint"] });
    for (body, code, words) in [
        (enrolment("s1"), "name-taken", "servos-control server delete s1"),
        (enrolment("api"), "name-taken", "resource"),
        (same_key, "key-taken", "new key"),
    ] {
        let refused = refusal(client.enrol_with(&token.bearer(), &body).await).await;
        assert_eq!((refused.0, refused.1.as_str()), (409, code), "{}", refused.2);
        assert!(refused.2.contains(words), "{}", refused.2);
    }
    assert_eq!(client.enrol(&token.bearer(), "s2").await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_named() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let token = plane.token(&[]);
    let with = |key: &str, value: Value| {
        let mut body = enrolment("s1");
        body[key] = value;
        body
    };
    for (body, status, words) in [
        (with("name", json!("web_1")), 400, "DNS label"),
        (with("public_key", json!("AAAA")), 400, "44 characters"),
        (with("public_key", json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")), 400, "small order"),
        (with("surprise", json!(1)), 400, "surprise"),
        (with("endpoint", json!({ "ip": null, "port": 0 })), 400, "port 0"),
        (with("endpoint", json!({ "ip": "0.0.0.0", "port": 1 })), 400, "0.0.0.0"),
        (with("endpoint", json!({ "ip": "100.64.0.9", "port": 1 })), 400, "100.64.0.0/10"),
        (with("endpoint", json!({ "ip": "ff02::1", "port": 1 })), 400, "multicast"),
        (with("endpoint", json!({ "ip": "fe80::1", "port": 1 })), 400, "link-local"),
        (with("name", json!("x".repeat(70_000))), 413, "65536"),
    ] {
        let refused = refusal(client.enrol_with(&token.bearer(), &body).await).await;
        assert_eq!(refused.0, status, "{}", refused.2);
        assert!(refused.2.contains(words), "{}", refused.2);
    }
    assert_eq!(client.enrol(&token.bearer(), "s1").await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_join_at_one_time_get_addresses_of_their_own() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let token = plane.token(&["--reusable"]);
    let joining: Vec<_> = (0..40)
        .map(|number| {
            let (client, bearer) = (client.clone(), token.bearer());
            tokio::spawn(async move {
                let response = client.enrol(&bearer, &format!("s{number}")).await;
                assert_eq!(response.status(), StatusCode::CREATED);
                let answer: Value = response.json().await.unwrap();
                // What was answered is true at once, for whoever asks next.
                let state = client.state(answer["credential"].as_str().unwrap()).await;
                assert!(names(&state).contains(&format!("s{number}")));
                answer["address"].as_str().unwrap().to_owned()
            })
        })
        .collect();
    let mut addresses = HashSet::new();
    for joined in joining {
        assert!(addresses.insert(joined.await.unwrap()));
    }
    assert_eq!(addresses.len(), 40);
    assert!(addresses.contains("100.64.0.1") && !addresses.contains("100.64.0.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_mesh_says_so_and_a_freed_address_comes_back_last() {
    let plane = Plane::new();
    let client = plane.serve_pool(AddressPool { first: 1, last: 3 }).await;
    let (_, first) = client.join(&plane, "acme", "a").await;
    let (_, second) = client.join(&plane, "acme", "b").await;
    plane.ok(&["server", "delete", "a", "--yes"]);
    // One that nobody had is left, so the freed one is not given out yet.
    let (_, third) = client.join(&plane, "acme", "c").await;
    assert!(third != first && third != second);
    let (_, again) = client.join(&plane, "acme", "d").await;
    assert_eq!(again, first);
    let token = plane.token(&[]);
    let refused = refusal(client.enrol(&token.bearer(), "e").await).await;
    assert_eq!((refused.0, refused.1.as_str()), (409, "addresses-exhausted"));
    assert!(refused.2.contains("server delete"), "{}", refused.2);
    // Another organisation has addresses of its own.
    plane.ok(&["organisation", "create", "umbrella"]);
    client.join(&plane, "umbrella", "a").await;
    plane.ok(&["server", "delete", "b", "--organisation", "acme", "--yes"]);
    assert_eq!(client.enrol(&token.bearer(), "e").await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fails_too_often_has_to_wait() {
    let plane = Plane::new();
    let client = plane.serve().await;
    for _ in 0..ENROL_FAILURES {
        assert_eq!(client.enrol("wrong", "s1").await.status(), StatusCode::UNAUTHORIZED);
    }
    let response = client.enrol(&plane.first_token.bearer(), "s1").await;
    assert!(header(&response, "retry-after").parse::<u32>().unwrap() > 0);
    let refused = refusal(response).await;
    assert_eq!((refused.0, refused.1.as_str()), (429, "too-many-attempts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_told_or_observed_and_changes_the_mesh_only_if_it_differs() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let endpoint = async |body: Value| {
        let request = client.request(Method::PUT, "/api/v1/server/endpoint", &credential).json(&body);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
        let state = client.state(&credential).await;
        (state.peers()[0].endpoint().unwrap().to_string(), state.revision())
    };
    let observed = client.state(&credential).await;
    assert_eq!(observed.peers()[0].endpoint().unwrap().to_string(), "127.0.0.1:51820");
    let same = endpoint(json!({ "ip": null, "port": 51820 })).await;
    assert_eq!(same.1, observed.revision());
    let told = endpoint(json!({ "ip": "203.0.113.7", "port": 4000 })).await;
    assert_eq!(told.0, "203.0.113.7:4000");
    assert!(told.1 > same.1);
    assert_eq!(endpoint(json!({ "ip": "::ffff:203.0.113.7", "port": 4000 })).await, told);
    assert_eq!(plane.json(&["server", "show", "s1"])["endpoint_origin"], "told");
    let back = endpoint(json!({ "ip": null, "port": 51820 })).await;
    assert_eq!(back.0, "127.0.0.1:51820");
}
