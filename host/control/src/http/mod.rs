//! The HTTP API of `servos_mesh::api`: who asks, what they get, and how long they may take.

pub mod a_im;
pub mod enrol_throttle;
pub mod if_none_match;
pub mod prefer;

mod body;
mod caller;
mod enrol;
mod error;
mod listener;
mod mesh_config;
mod server;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::{delete, get, post, put};
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::limits::NOTICE_OVERDUE;
use crate::live::Live;
use enrol_throttle::EnrolThrottle;
use error::ApiError;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
struct Source(IpAddr);

/// What every request may need.
struct Shared {
    live: Arc<Live>,
    throttle: EnrolThrottle,
    /// True once the process was asked to stop.
    stopping: watch::Receiver<bool>,
}

type State = axum::extract::State<Arc<Shared>>;

/// A running API.
pub struct Api {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    /// Ends with this.
    _following: JoinSet<()>,
}

impl Api {
    /// Starts to answer on `listen`.
    ///
    /// # Errors
    ///
    /// [`ListenError`] if the address cannot be had.
    pub async fn start(live: Arc<Live>, listen: SocketAddr, tls: Arc<ServerConfig>) -> Result<Self, ListenError> {
        let listener = tokio::net::TcpListener::bind(listen).await;
        let listener = listener.map_err(|source| ListenError { address: listen, source })?;
        let address = listener.local_addr().map_err(|source| ListenError { address: listen, source })?;
        let (stop, stopping) = watch::channel(false);
        let mut following = JoinSet::new();
        following.spawn(live.clone().follow());
        let shared = Shared { live, throttle: EnrolThrottle::default(), stopping: stopping.clone() };
        let accepting = tokio::spawn(listener::accept(listener, tls, router(Arc::new(shared)), stopping));
        Ok(Self { address, stop, accepting, _following: following })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, answers held polls, lets requests under way end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the listener ended before it was told to");
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/api/v1/enrol", post(enrol::enrol))
        .route("/api/v1/mesh/config", get(mesh_config::mesh_config))
        .route("/api/v1/server/endpoint", put(server::set_endpoint))
        .route("/api/v1/server/key", put(server::set_key))
        .route("/api/v1/server", delete(server::leave))
        .fallback(async |uri: Uri| ApiError::no_such_path(&uri))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| ApiError::no_such_method(&method, &uri))
        .with_state(shared)
}

/// 200 while changes of the database are seen; tells nothing else, since anybody may ask.
async fn health(axum::extract::State(shared): State) -> Result<&'static str, ApiError> {
    if shared.live.looked_at().elapsed() > NOTICE_OVERDUE {
        return Err(ApiError::blind());
    }
    Ok("ok\n")
}

/// Waits until the process is asked to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever could ask is gone, which comes to the same.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: see who does (`ss -ltnp`), or give another --listen")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}
