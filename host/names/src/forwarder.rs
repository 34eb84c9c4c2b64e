//! Sends a question on to an upstream: UDP, TCP where the answer was cut, the next upstream where one fails.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use crate::limits::{CONCURRENT_FORWARDS, FORWARD_DEADLINE, UDP_PAYLOAD, UPSTREAM_PATIENCE, UPSTREAMS};

pub(crate) struct Forwarder {
    upstreams: ArcSwap<Vec<SocketAddr>>,
    /// Index of the upstream that answered last, to be asked first.
    preferred: AtomicUsize,
    turns: Semaphore,
}

/// What is asked for beside the question, as the client had it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub recursion_desired: bool,
    pub checking_disabled: bool,
    /// Whether EDNS was used, and with it the DO bit.
    pub edns: Option<bool>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Too many questions are under way.
    Overloaded,
    /// No upstream answered, or there is none.
    Upstreams,
}

impl Forwarder {
    pub(crate) fn new(upstreams: Vec<SocketAddr>) -> Self {
        let forwarder = Self {
            upstreams: ArcSwap::default(),
            preferred: AtomicUsize::new(0),
            turns: Semaphore::new(CONCURRENT_FORWARDS),
        };
        forwarder.set_upstreams(upstreams);
        forwarder
    }

    pub(crate) fn set_upstreams(&self, mut upstreams: Vec<SocketAddr>) {
        upstreams.truncate(UPSTREAMS);
        if **self.upstreams.load() != upstreams {
            self.upstreams.store(Arc::new(upstreams));
            self.preferred.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn upstreams(&self) -> Vec<SocketAddr> {
        self.upstreams.load().to_vec()
    }

    /// Asks the upstreams, each at most twice, until one answers. What is no answer to the question (SERVFAIL, REFUSED
    /// and the like) counts only if none does better.
    pub(crate) async fn ask(&self, query: &Query, flags: Flags) -> Result<Message, NoAnswer> {
        let Ok(_turn) = self.turns.try_acquire() else { return Err(NoAnswer::Overloaded) };
        let upstreams = self.upstreams.load_full();
        let count = upstreams.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let deadline = Instant::now() + FORWARD_DEADLINE;
        let mut last = None;
        for turn in 0..2 * count {
            let at = (first + turn) % count;
            match timeout_at(deadline, exchange(upstreams[at], query, flags)).await {
                Ok(Ok(answer)) if is_final(answer.metadata.response_code) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Ok(answer)) => last = Some(answer),
                Ok(Err(error)) => debug!(upstream = %upstreams[at], %error, "upstream did not answer"),
                Err(_) => break,
            }
            // Whoever refused will refuse again: the second round is for lost datagrams.
            if turn + 1 == count && last.is_some() {
                break;
            }
        }
        last.ok_or(NoAnswer::Upstreams)
    }
}

fn is_final(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

async fn exchange(upstream: SocketAddr, query: &Query, flags: Flags) -> io::Result<Message> {
    let request = request(query, flags);
    let bytes = request.to_vec().map_err(io::Error::other)?;
    let answer = timeout(UPSTREAM_PATIENCE, over_udp(upstream, &request, &bytes)).await??;
    if !answer.metadata.truncation {
        return Ok(answer);
    }
    // A server that cuts and does not speak TCP leaves the cut answer: the client sees that it is one.
    match timeout(UPSTREAM_PATIENCE, over_tcp(upstream, &request, &bytes)).await {
        Ok(Ok(whole)) => Ok(whole),
        _ => Ok(answer),
    }
}

fn request(query: &Query, flags: Flags) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = flags.recursion_desired;
    message.metadata.checking_disabled = flags.checking_disabled;
    message.add_query(query.clone());
    if let Some(dnssec_ok) = flags.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD).set_dnssec_ok(dnssec_ok);
        message.set_edns(edns);
    }
    message
}

/// A socket of its own for each question, so that its port is one more thing to be guessed (RFC 5452 §4.5).
async fn over_udp(upstream: SocketAddr, request: &Message, bytes: &[u8]) -> io::Result<Message> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Connected: the kernel drops what others send, and reports a closed port at once.
    socket.connect(upstream).await?;
    socket.send(bytes).await?;
    let mut buffer = [0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What is no answer to this question may be a forgery: the real one may still come.
        if let Some(answer) = answer_to(request, &buffer[..length]) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(upstream: SocketAddr, request: &Message, bytes: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    answer_to(request, &buffer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no answer to the question"))
}

fn answer_to(request: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let header = answer.metadata;
    if header.id != request.metadata.id || header.message_type != MessageType::Response {
        return None;
    }
    let (asked, repeated) = (request.queries.first()?, answer.queries.as_slice());
    let same = match repeated {
        // Some servers repeat no question when they could not read it.
        [] => header.response_code != ResponseCode::NoError,
        [one] => {
            one.name() == asked.name()
                && one.query_type() == asked.query_type()
                && one.query_class() == asked.query_class()
        }
        _ => false,
    };
    same.then_some(answer)
}
