//! Writes answers: `key=value` lines, `errno=` last, an empty line behind.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use nix::errno::Errno;
use zeroize::Zeroizing;

use super::request::Request;
use crate::{Device, PrivateKey, SessionStatus};

/// The answer to a request. Holds the private key for `get=1`: whoever may open the socket may read the key.
pub(super) fn answer(request: Request, device: &Device, port: u16) -> Zeroizing<String> {
    let errno = match request {
        Request::Get => return get(&device.private_key(), port, &device.sessions()),
        Request::Set => {
            tracing::warn!("`wg set` refused: the mesh state decides what this interface is");
            Errno::EOPNOTSUPP
        }
        Request::Unknown => Errno::EINVAL,
    };
    Zeroizing::new(format!("errno=-{}\n\n", errno as i32))
}

fn get(key: &PrivateKey, port: u16, sessions: &[SessionStatus]) -> Zeroizing<String> {
    // Reserved whole: a string that grows leaves copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(256 + sessions.len() * 512));
    let private = Zeroizing::new(key.secret().to_bytes());
    line(&mut text, "private_key", &hex(private.as_slice()));
    line(&mut text, "listen_port", &port.to_string());
    for session in sessions {
        line(&mut text, "public_key", &hex(session.public_key.as_bytes()));
        line(&mut text, "preshared_key", &hex(&[0; 32]));
        line(&mut text, "protocol_version", "1");
        if let Some(endpoint) = session.endpoint {
            line(&mut text, "endpoint", &endpoint.to_string());
        }
        let since = session.last_handshake.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        line(&mut text, "last_handshake_time_sec", &since.as_secs().to_string());
        line(&mut text, "last_handshake_time_nsec", &since.subsec_nanos().to_string());
        line(&mut text, "tx_bytes", &session.tx_bytes.to_string());
        line(&mut text, "rx_bytes", &session.rx_bytes.to_string());
        line(&mut text, "persistent_keepalive_interval", "0");
        if let Some(address) = session.peer.mesh_address() {
            line(&mut text, "allowed_ip", &format!("{address}/32"));
        }
    }
    text.push_str("errno=0\n\n");
    text
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
