//! Connections: accepted up to a ceiling, TLS within a time limit, HTTP/1.1 with bounded heads, ended gracefully.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::{Source, stopped};
use crate::limits::{
    ACCEPT_PAUSE, DRAIN, FILES_KEPT_FREE, HANDSHAKE_TIMEOUT, HEAD_TIMEOUT, MAX_CONNECTIONS, MAX_HEAD_BYTES,
    MAX_HEADERS, STALLED_WRITE,
};

/// Accepts until told to stop, then waits for the connections to end, but not for ever.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let ceiling = connection_ceiling();
    let places = Arc::new(Semaphore::new(ceiling));
    let acceptor = TlsAcceptor::from(tls);
    info!(ceiling, "connections are accepted");
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stopping) => break,
            accepted = next(&listener, &places) => accepted,
        };
        let (place, stream, source) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let serving = serve(stream, source, acceptor.clone(), router.clone(), stopping.clone());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                debug!(%source, %error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    let all = u32::try_from(ceiling).unwrap_or(u32::MAX);
    if tokio::time::timeout(DRAIN, places.acquire_many(all)).await.is_err() {
        warn!(connections = ceiling - places.available_permits(), "connections did not end in time");
    }
}

/// Waits for a place first: whoever finds none stays in the kernel's queue.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::sync::OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, source) = listener.accept().await?;
    Ok((place, stream, source))
}

async fn serve(
    stream: TcpStream,
    source: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stalled = u32::try_from(STALLED_WRITE.as_millis()).unwrap_or(u32::MAX);
    setsockopt(&stream.as_fd(), sockopt::TcpUserTimeout, &stalled)?;
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
    let router = TowerToHyperService::new(router);
    let with_source = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Source(source.ip().to_canonical()));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), with_source);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = stopped(&mut stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.map_err(io::Error::other)
}

/// As many as the limit of open files has room for, raised as far as the system allows.
fn connection_ceiling() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return MAX_CONNECTIONS };
    let wanted = ((MAX_CONNECTIONS + FILES_KEPT_FREE) as u64).min(hard);
    let files = if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft };
    usize::try_from(files).unwrap_or(MAX_CONNECTIONS).saturating_sub(FILES_KEPT_FREE).clamp(1, MAX_CONNECTIONS)
}
