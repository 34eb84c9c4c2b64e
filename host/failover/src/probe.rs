//! One probe: a TCP connect, or an HTTP GET that must answer 2xx or 3xx.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HOST, LOCATION};
use hyper::http::Response;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::limits::MAX_PROBE_HEAD;
use crate::targets::Target;

/// The time that a passed probe took; none if it failed.
pub(crate) async fn probe(target: &Target) -> Option<Duration> {
    let began = Instant::now();
    let passed = tokio::time::timeout(target.timeout, async {
        match &target.http {
            None => TcpStream::connect(target.address).await.is_ok(),
            Some((host, path)) => {
                let head = get(target.address, host, path).await;
                head.is_some_and(|head| head.status().is_success() || head.status().is_redirection())
            }
        }
    });
    passed.await.unwrap_or(false).then(|| began.elapsed())
}

/// Where an HTTP server redirects `host` to.
pub(crate) async fn redirect_of(address: SocketAddr, host: &str) -> Option<String> {
    let head = get(address, host, "/").await?;
    Some(head.headers().get(LOCATION)?.to_str().ok()?.to_owned())
}

/// The head of the answer; the body is left unread.
async fn get(address: SocketAddr, host: &str, path: &str) -> Option<Response<()>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let mut client = hyper::client::conn::http1::Builder::new();
    client.max_buf_size(MAX_PROBE_HEAD);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.ok()?;
    let exchange = async {
        let request = Request::get(path).header(HOST, host).header("user-agent", "servos-agent");
        sender.send_request(request.body(Empty::<Bytes>::new()).ok()?).await.ok()
    };
    // The connection is driven only for as long as the head is waited for.
    let answer = tokio::select! {
        answer = exchange => answer,
        _ = connection => None,
    };
    Some(answer?.map(drop))
}
