//! Reads requests: lines up to an empty one. Total: any bytes give a request, a wish for more, or an end.

use std::time::Duration;

use nix::errno::Errno;
use servos_mesh::PublicKey;
use zeroize::{Zeroize, Zeroizing};

use crate::PrivateKey;
use crate::device::changes::{Changes, PeerChange};
use crate::limits::{UAPI_LINE_BYTES, UAPI_REQUEST_BYTES};

/// What a client wants.
pub(super) enum Request {
    /// `get=1`.
    Get,
    /// `set=1` and what follows.
    Set(Box<Changes>),
    /// Nothing that the protocol knows.
    Invalid(Errno),
}

/// A client has sent more than a request may have, or a line that no request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Collects bytes until a request is whole.
#[derive(Default)]
pub(super) struct RequestReader {
    /// The line that has not ended yet; may be of a key.
    line: Zeroizing<Vec<u8>>,
    request: Option<Request>,
    bytes: usize,
}

impl RequestReader {
    /// Takes bytes; returns the requests that they complete, in order.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Request>, TooLong> {
        // Never grows: one that does leaves copies behind.
        let room = UAPI_LINE_BYTES.saturating_sub(self.line.len());
        self.line.reserve_exact(room);
        let mut whole = Vec::new();
        for &byte in bytes {
            self.bytes += 1;
            if byte != b'\n' {
                if self.line.len() >= UAPI_LINE_BYTES || self.bytes > UAPI_REQUEST_BYTES {
                    return Err(TooLong);
                }
                self.line.push(byte);
                continue;
            }
            if self.line.is_empty() {
                whole.extend(self.request.take());
                self.bytes = 0;
            } else {
                self.take_line();
                self.line.zeroize();
            }
        }
        Ok(whole)
    }

    fn take_line(&mut self) {
        let line = std::str::from_utf8(&self.line).ok().and_then(|line| line.split_once('='));
        self.request = Some(match (self.request.take(), line) {
            (None, Some(("get", "1"))) => Request::Get,
            (None, Some(("set", "1"))) => Request::Set(Box::default()),
            (Some(Request::Set(mut changes)), Some((key, value))) => match set(&mut changes, key, value) {
                Ok(()) => Request::Set(changes),
                Err(errno) => Request::Invalid(errno),
            },
            (Some(Request::Invalid(errno)), _) => Request::Invalid(errno),
            _ => Request::Invalid(Errno::EINVAL),
        });
    }
}

/// One line of `set=1`.
fn set(changes: &mut Changes, key: &str, value: &str) -> Result<(), Errno> {
    let is_true = || if value == "true" { Ok(()) } else { Err(Errno::EINVAL) };
    match key {
        "private_key" => {
            let bytes = hex(value)?;
            changes.private_key = Some((*bytes != [0; 32]).then(|| PrivateKey::from_bytes(&bytes)));
        }
        "listen_port" => changes.listen_port = Some(number(value)?),
        "fwmark" => changes.firewall_mark = Some(number(value)?),
        "replace_peers" => is_true().map(|()| changes.replace_peers = true)?,
        "public_key" => {
            let key = PublicKey::from_any_bytes(*hex(value)?).map_err(|_| Errno::EINVAL)?;
            changes.peers.push(PeerChange::of(key));
        }
        _ => set_peer(changes.peers.last_mut().ok_or(Errno::EINVAL)?, key, value)?,
    }
    Ok(())
}

/// A line that belongs to the peer named last.
fn set_peer(peer: &mut PeerChange, key: &str, value: &str) -> Result<(), Errno> {
    match (key, value) {
        ("remove", "true") => peer.remove = true,
        ("update_only", "true") => peer.update_only = true,
        ("replace_allowed_ips", "true") => peer.replace_allowed_ips = true,
        ("protocol_version", "1") => {}
        ("protocol_version", _) => return Err(Errno::EPROTONOSUPPORT),
        ("preshared_key", _) => peer.preshared = Some(hex(value)?),
        ("endpoint", _) => peer.endpoint = Some(value.parse().map_err(|_| Errno::EINVAL)?),
        ("persistent_keepalive_interval", _) => {
            peer.keepalive = Some(Duration::from_secs(number::<u16>(value)?.into()));
        }
        ("allowed_ip", _) => {
            let (net, remove) = value.strip_prefix('-').map_or((value, false), |net| (net, true));
            peer.allowed_ips.push((net.parse().map_err(|_| Errno::EINVAL)?, remove));
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, Errno> {
    text.parse().map_err(|_| Errno::EINVAL)
}

fn hex(text: &str) -> Result<Zeroizing<[u8; 32]>, Errno> {
    let mut bytes = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Errno::EINVAL);
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| Errno::EINVAL)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What can be compared of a request.
    fn kind(request: &Request) -> String {
        match request {
            Request::Get => "get".to_owned(),
            Request::Set(changes) => format!("set {:?} {}", changes.listen_port, changes.peers.len()),
            Request::Invalid(errno) => format!("{errno}"),
        }
    }

    fn read(reader: &mut RequestReader, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        Ok(reader.read(bytes)?.iter().map(kind).collect())
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_read_alike(
            lines in prop::collection::vec(
                prop_oneof!["[a-z_]{1,12}=[0-9a-f.:/-]{0,70}", Just("set=1".to_owned()), Just("get=1".to_owned()),
                    Just(String::new()), Just(format!("public_key={}", "ab".repeat(32))), "\\PC{0,20}"], 0..40),
            at in 0_usize..2_000,
        ) {
            let bytes = lines.join("\n").into_bytes();
            let at = at.min(bytes.len());
            let whole = read(&mut RequestReader::default(), &bytes);
            let mut pieces = RequestReader::default();
            let joined = read(&mut pieces, &bytes[..at]).and_then(|mut first| {
                first.extend(read(&mut pieces, &bytes[at..])?);
                Ok(first)
            });
            prop_assert_eq!(whole, joined);
        }
    }

    #[test]
    fn requests_are_told_apart() {
        let found = read(&mut RequestReader::default(), b"get=1\n\nset=1\nlisten_port=1\n\nhello\n\n\n\nget=1\n");
        assert_eq!(found, Ok(vec!["get".to_owned(), "set Some(1) 0".to_owned(), Errno::EINVAL.to_string()]));
    }

    #[test]
    fn a_peer_is_read_whole() {
        let text = format!(
            "set=1\nprivate_key={}\nfwmark=7\nreplace_peers=true\npublic_key={}\npreshared_key={}\n\
             endpoint=[fe80::1]:9\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\n\
             allowed_ip=10.0.0.0/8\nallowed_ip=-fd00::/64\npublic_key={}\nremove=true\n\n",
            "01".repeat(32),
            "ab".repeat(32),
            "cd".repeat(32),
            "ef".repeat(32),
        );
        let requests = RequestReader::default().read(text.as_bytes()).expect("short");
        let [Request::Set(changes)] = &requests[..] else { panic!("not one set") };
        assert!(matches!(changes.private_key, Some(Some(_))) && changes.replace_peers);
        assert_eq!(changes.firewall_mark, Some(7));
        let [peer, gone] = &changes.peers[..] else { panic!("not two peers") };
        assert_eq!(peer.preshared.as_deref(), Some(&[0xcd; 32]));
        assert_eq!(peer.endpoint, Some("[fe80::1]:9".parse().expect("an endpoint")));
        assert_eq!(peer.keepalive, Some(Duration::from_secs(25)));
        assert_eq!(peer.allowed_ips.iter().map(|(_, remove)| *remove).collect::<Vec<_>>(), [false, true]);
        assert!(gone.remove && !peer.remove);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "private_key=12",
            "listen_port=65536",
            "listen_port=-1",
            "fwmark=x",
            "replace_peers=yes",
            "endpoint=1.2.3.4:5",
            "public_key=zz",
            "hello=1",
            "no equals sign",
        ] {
            let found = read(&mut RequestReader::default(), format!("set=1\n{line}\n\n").as_bytes());
            assert_eq!(found, Ok(vec![Errno::EINVAL.to_string()]), "{line}");
        }
        let key = "ab".repeat(32);
        for line in ["endpoint=host:5", "allowed_ip=10.0.0.0/33", "persistent_keepalive_interval=off", "remove=1"] {
            let text = format!("set=1\npublic_key={key}\n{line}\n\n");
            assert_eq!(
                read(&mut RequestReader::default(), text.as_bytes()),
                Ok(vec![Errno::EINVAL.to_string()]),
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert_eq!(read(&mut RequestReader::default(), &[b'a'; UAPI_LINE_BYTES + 1]), Err(TooLong));
        let mut reader = RequestReader { bytes: UAPI_REQUEST_BYTES, ..Default::default() };
        assert_eq!(read(&mut reader, b"x"), Err(TooLong));
    }
}
