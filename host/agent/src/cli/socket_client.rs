//! Asks the running agent through its status socket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::limits::SOCKET_TIMEOUT;

/// A million peers in JSON, and then some.
const MAX_ANSWER: usize = 1 << 30;

/// GETs `path` and reads JSON.
pub async fn get(socket: &Path, path: &str) -> Result<Value> {
    let body = get_bytes(socket, path, SOCKET_TIMEOUT).await?;
    serde_json::from_slice(&body).context("the agent's answer is no JSON: are agent and command of one version?")
}

/// GETs `path` and reads text.
pub async fn get_text(socket: &Path, path: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&get_bytes(socket, path, SOCKET_TIMEOUT).await?).into_owned())
}

/// POSTs to `path`, waiting up to `limit`, and reads JSON. A refusal fails with the agent's words.
pub async fn post(socket: &Path, path: &str, limit: Duration) -> Result<Value> {
    let (status, body) = ask(socket, Method::POST, path, limit).await?;
    if !status.is_success() {
        return Err(refusal(status, path, &body));
    }
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

async fn get_bytes(socket: &Path, path: &str, limit: Duration) -> Result<Bytes> {
    let (status, body) = ask(socket, Method::GET, path, limit).await?;
    if !status.is_success() {
        return Err(refusal(status, path, &body));
    }
    Ok(body)
}

/// The agent's words.
fn refusal(status: StatusCode, path: &str, body: &[u8]) -> anyhow::Error {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer["error"].as_str() {
        Some(error) => anyhow!("{error}"),
        None => anyhow!("the agent answers {status} to {path}: is it of another version?"),
    }
}

async fn ask(socket: &Path, method: Method, path: &str, limit: Duration) -> Result<(StatusCode, Bytes)> {
    let asked = tokio::time::timeout(limit, async {
        let stream = UnixStream::connect(socket).await.with_context(|| {
            format!(
                "the agent does not answer at {}: is it running? (`systemctl status servos-agent`)",
                socket.display()
            )
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "agent").body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        connection.abort();
        let body = body.map_err(|error| anyhow!("the agent's answer broke off: {error}"))?;
        Ok((status, body.to_bytes()))
    });
    asked.await.with_context(|| format!("the agent does not answer within {} s", limit.as_secs()))?
}
