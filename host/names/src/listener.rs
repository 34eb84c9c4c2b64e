//! The sockets of one address: bound, served, and bound again for as long as it takes.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_server::Server;
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::handler::Handler;
use crate::limits::{BIND_RETRY, CLOSING, TCP_BACKLOG, TCP_IDLE, TCP_RESPONSES, UDP_SOCKETS};

/// An address that the DNS server is to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerStatus {
    /// The address, UDP and TCP.
    pub address: SocketAddrV4,
    /// How it stands.
    pub state: ListenerState,
}

/// How a listener stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenerState {
    /// Nothing was tried yet.
    Starting,
    /// It listens.
    Listening,
    /// It does not, for this reason, and is tried again.
    Waiting(String),
}

/// Serves an address until `stop` turns true. `place`: its index in `statuses`.
pub(crate) async fn serve(
    address: SocketAddrV4,
    handler: Handler,
    place: usize,
    statuses: watch::Sender<Vec<ListenerStatus>>,
    mut stop: watch::Receiver<bool>,
) {
    let (first, longest) = BIND_RETRY;
    let mut pause = first;
    let set = |state: ListenerState| {
        statuses.send_if_modified(|all| {
            let changed = all[place].state != state;
            if changed {
                all[place].state = state;
            }
            changed
        })
    };
    loop {
        let problem = match Sockets::bind(address) {
            Ok(sockets) => {
                if set(ListenerState::Listening) {
                    info!(%address, "DNS server listens");
                }
                pause = first;
                let Some(problem) = sockets.serve(&handler, &mut stop).await else { return };
                problem
            }
            Err(error) => remedy(&error),
        };
        if set(ListenerState::Waiting(problem.clone())) {
            warn!(%address, problem, "DNS server does not listen yet");
        }
        tokio::select! {
            _ = stop.wait_for(|&stop| stop) => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(longest);
    }
}

struct Sockets {
    udp: Vec<UdpSocket>,
    tcp: TcpListener,
}

impl Sockets {
    fn bind(address: SocketAddrV4) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let udp = (0..cores.min(UDP_SOCKETS)).map(|_| bind_udp(address)).collect::<io::Result<_>>()?;
        Ok(Self { udp, tcp: bind_tcp(address)? })
    }

    /// One server a socket, so that the end of one is seen. None: `stop` turned true; else why it ended.
    async fn serve(self, handler: &Handler, stop: &mut watch::Receiver<bool>) -> Option<String> {
        let mut servers = Vec::new();
        for socket in self.udp {
            let mut server = Server::new(handler.clone());
            server.register_socket(socket);
            servers.push(server);
        }
        let mut server = Server::new(handler.clone());
        server.register_listener(self.tcp, TCP_IDLE, TCP_RESPONSES);
        servers.push(server);
        let mut ends: FuturesUnordered<_> = servers.iter_mut().map(Server::block_until_done).collect();
        let problem = tokio::select! {
            _ = stop.wait_for(|&stop| stop) => None,
            end = ends.next() => Some(match end {
                Some(Err(error)) => error.to_string(),
                _ => "a socket was closed".to_owned(),
            }),
        };
        drop(ends);
        // The sockets are closed when this returns, so that whoever is next can bind. What is under way longer than
        // that is not answered.
        for server in &mut servers {
            if timeout(CLOSING, server.shutdown_gracefully()).await.is_err() {
                warn!("questions under way were not answered");
            }
        }
        drop(servers);
        tokio::task::yield_now().await;
        problem
    }
}

fn bind_udp(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::V4(address).into())?;
    UdpSocket::from_std(socket.into())
}

fn bind_tcp(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // Connections that an earlier run left in TIME_WAIT are no reason not to listen.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::V4(address).into())?;
    socket.listen(TCP_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn remedy(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "{error}: another DNS server listens on all addresses; bind it to its own ones (dnsmasq: bind-interfaces)"
            )
        }
        io::ErrorKind::AddrNotAvailable => format!("{error}: no interface has this address yet"),
        io::ErrorKind::PermissionDenied => format!("{error}: port 53 needs root or CAP_NET_BIND_SERVICE"),
        _ => error.to_string(),
    }
}
