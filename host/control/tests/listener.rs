//! The listener: who is too long or too big, and how it stops.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use common::{DEADLINE, Plane};
use nix::sys::signal::Signal;
use reqwest::header::IF_NONE_MATCH;
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_held_polls_and_ends_with_0() {
    let plane = Plane::new();
    let mut serving = plane.serve_process();
    let client = serving.client();
    let (credential, _) = client.join(&plane, "acme", "s1").await;
    let etag = client.state(&credential).await.revision().etag();
    let request = client.config(&credential).header(IF_NONE_MATCH, etag).header("prefer", "wait=60");
    let held = tokio::spawn(request.send());
    // Another request on the same server has been answered since, so the poll has arrived, or will find a closed door.
    client.request(Method::GET, "/healthz", "").send().await.unwrap();
    serving.child.signal(Signal::SIGTERM);
    if let Ok(answer) = held.await.unwrap() {
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert!(!answer.headers().contains_key("preference-applied"));
    }
    let ended = tokio::task::spawn_blocking(move || serving.child.0.wait().unwrap());
    assert_eq!(tokio::time::timeout(DEADLINE, ended).await.unwrap().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_long_is_refused_and_others_are_served() {
    let plane = Plane::new();
    let client = plane.serve().await;
    // Whether the refusal is read, or the end of the connection seen first, is a matter of luck.
    if let Ok(refused) = client.request(Method::GET, "/healthz", &"x".repeat(20 << 10)).send().await {
        assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let fine = client.request(Method::GET, "/healthz", "").send().await.unwrap();
    assert_eq!(fine.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_speaks_no_tls_is_ended_and_others_are_served() {
    let plane = Plane::new();
    let client = plane.serve().await;
    let mut plain = tokio::net::TcpStream::connect(client.address).await.unwrap();
    let _silent = tokio::net::TcpStream::connect(client.address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A TLS alert or nothing; then the end, with or without a reset.
    let _ = tokio::time::timeout(DEADLINE, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(client.request(Method::GET, "/healthz", "").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_told() {
    let plane = Plane::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let words = plane.fails(1, &["serve", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert!(words.contains("cannot listen on 127.0.0.1:"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_pins_another_certificate_is_not_served() {
    let plane = Plane::new();
    let serving = plane.serve().await;
    let other = common::Client::new(serving.address, [1; 32]);
    assert!(other.request(Method::GET, "/healthz", "").send().await.unwrap_err().is_connect());
}

#[test]
fn systemd_is_told_that_it_answers_and_lives() {
    let plane = Plane::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let child = std::process::Command::new("sh")
        // systemd's watchdog is meant for the process of that number, which the shell becomes.
        .args(["-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_servos-control"), "--data"])
        .arg(plane.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut child = common::KilledChild(child.unwrap());
    let mut heard = String::new();
    while !(heard.starts_with("READY=1") && heard.matches("WATCHDOG=1").count() >= 2) {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        heard.push_str(std::str::from_utf8(&message[..length]).unwrap());
    }
    child.signal(Signal::SIGINT);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}
