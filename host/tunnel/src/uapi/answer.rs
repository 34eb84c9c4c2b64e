//! Writes answers: `key=value` lines, `errno=` last, an empty line behind.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use ipnet::IpNet;
use servos_mesh::PublicKey;
use zeroize::Zeroizing;

use super::Managed;
use super::request::Request;
use crate::SessionStatus;

/// The answer to a request. Holds the private key for `get=1`: whoever may open the socket may read the key.
pub(super) fn answer(request: &Request, managed: &dyn Managed) -> Zeroizing<String> {
    let errno = match request {
        Request::Get => return get(managed),
        Request::Set(changes) => managed.set(changes).err(),
        Request::Invalid(errno) => Some(*errno),
    };
    Zeroizing::new(format!("errno={}\n\n", errno.map_or(0, |errno| -(errno as i32))))
}

fn get(managed: &dyn Managed) -> Zeroizing<String> {
    let device = managed.device();
    let (configured, sessions) = (device.configured_peers(), device.sessions());
    // Reserved whole: a string that grows leaves copies of the key behind.
    let prefixes: usize = configured.iter().map(|(_, peer, _)| peer.allowed_ips.len()).sum();
    let size = 256 + sessions.len().max(configured.len()) * 512 + prefixes * 64;
    let mut text = Zeroizing::new(String::with_capacity(size));
    if let Some(key) = device.private_key() {
        line(&mut text, "private_key", &hex(Zeroizing::new(key.secret().to_bytes()).as_slice()));
    }
    line(&mut text, "listen_port", &managed.port().to_string());
    if managed.mark() != 0 {
        line(&mut text, "fwmark", &managed.mark().to_string());
    }
    if configured.is_empty() {
        for session in &sessions {
            let own = session.peer.mesh_address().map(|address| IpNet::from(std::net::IpAddr::from(address.ipv4())));
            peer(&mut text, &session.public_key, &[0; 32], None, None, own.iter(), Some(session));
        }
    }
    for (key, one, session) in &configured {
        let allowed = one.allowed_ips.iter();
        peer(&mut text, key, &one.preshared, one.endpoint, one.keepalive, allowed, session.as_ref());
    }
    text.push_str("errno=0\n\n");
    text
}

fn peer<'a>(
    text: &mut String,
    key: &PublicKey,
    preshared: &[u8; 32],
    endpoint: Option<std::net::SocketAddr>,
    keepalive: Option<Duration>,
    allowed: impl Iterator<Item = &'a IpNet>,
    session: Option<&SessionStatus>,
) {
    line(text, "public_key", &hex(key.as_bytes()));
    line(text, "preshared_key", &hex(preshared));
    line(text, "protocol_version", "1");
    if let Some(endpoint) = session.and_then(|session| session.endpoint).or(endpoint) {
        line(text, "endpoint", &endpoint.to_string());
    }
    let since = session.and_then(|session| session.last_handshake?.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    line(text, "last_handshake_time_sec", &since.as_secs().to_string());
    line(text, "last_handshake_time_nsec", &since.subsec_nanos().to_string());
    line(text, "tx_bytes", &session.map_or(0, |session| session.tx_bytes).to_string());
    line(text, "rx_bytes", &session.map_or(0, |session| session.rx_bytes).to_string());
    line(text, "persistent_keepalive_interval", &keepalive.map_or(0, |interval| interval.as_secs()).to_string());
    for net in allowed {
        line(text, "allowed_ip", &net.to_string());
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    text.extend([key, "=", value, "\n"]);
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
