//! Any conversation on the UAPI socket: each request is answered once; what was set is what a small, obviously right
//! model says; and the answer to `get=1`, set on another device, gives the same answer there.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use arbitrary::Arbitrary;
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use nix::errno::Errno;
use servos_tunnel::device::DatagramBatch;
use servos_tunnel::device::changes::Changes;
use servos_tunnel::limits::Limits;
use servos_tunnel::{Conversation, Device, Managed, PrivateKey};

#[derive(Arbitrary, Debug)]
struct Input {
    requests: Vec<Request>,
    /// Bytes of the text that are written over.
    edits: Vec<(u16, u8)>,
    /// Bytes that come at a time.
    piece: u8,
}

#[derive(Arbitrary, Debug)]
enum Request {
    Get,
    Set { lines: Vec<Line> },
    Noise(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Line {
    PrivateKey(u8),
    ListenPort(u16),
    Mark(u32),
    ReplacePeers,
    Peer(u8),
    Remove,
    UpdateOnly,
    Preshared(u8),
    EndpointV4([u8; 4], u16),
    EndpointV6([u16; 8], u16),
    Keepalive(u16),
    ReplaceAllowedIps,
    AllowedV4 { ip: [u8; 2], prefix: u8, remove: bool },
    AllowedV6 { ip: [u8; 2], prefix: u8, remove: bool },
    Version,
    Noise(String),
}

/// Keys and addresses are of few, so that they meet.
impl Line {
    fn text(&self) -> String {
        let sign = |remove: bool| if remove { "-" } else { "" };
        match self {
            Self::PrivateKey(key) => format!("private_key={}", hex(&private(*key))),
            Self::ListenPort(port) => format!("listen_port={port}"),
            Self::Mark(mark) => format!("fwmark={mark}"),
            Self::ReplacePeers => "replace_peers=true".to_owned(),
            Self::Peer(key) => format!("public_key={}", hex(&public(*key))),
            Self::Remove => "remove=true".to_owned(),
            Self::UpdateOnly => "update_only=true".to_owned(),
            Self::Preshared(key) => format!("preshared_key={}", hex(&[*key; 32])),
            Self::EndpointV4(ip, port) => format!("endpoint={}:{port}", IpAddr::from(*ip)),
            Self::EndpointV6(ip, port) => format!("endpoint=[{}]:{port}", IpAddr::from(*ip)),
            Self::Keepalive(seconds) => format!("persistent_keepalive_interval={seconds}"),
            Self::ReplaceAllowedIps => "replace_allowed_ips=true".to_owned(),
            Self::AllowedV4 { remove, .. } | Self::AllowedV6 { remove, .. } => {
                format!("allowed_ip={}{}", sign(*remove), self.net().expect("a prefix"))
            }
            Self::Version => "protocol_version=1".to_owned(),
            Self::Noise(text) => text.clone(),
        }
    }

    fn net(&self) -> Option<IpNet> {
        let (ip, prefix) = match self {
            Self::AllowedV4 { ip: [a, b], prefix, .. } => (IpAddr::from([10, a & 3, 0, b & 3]), prefix % 33),
            Self::AllowedV6 { ip: [a, b], prefix, .. } => {
                (IpAddr::from([0xfd00, (a & 3).into(), 0, 0, 0, 0, 0, (b & 3).into()]), prefix % 129)
            }
            _ => return None,
        };
        IpNet::new(ip, prefix).ok()
    }
}

/// One of four; 0 is none.
fn private(key: u8) -> [u8; 32] {
    [key & 3; 32]
}

/// Of the private keys that there are, and of four nobody has.
fn public(key: u8) -> [u8; 32] {
    match key & 7 {
        0 => [7; 32],
        key @ 1..=3 => *PrivateKey::from_bytes(&[key; 32]).public_key().as_bytes(),
        key => [key; 32],
    }
}

/// An interface without sockets.
struct Interface {
    device: Device,
    started: Instant,
    port: AtomicU16,
    mark: AtomicU32,
}

impl Interface {
    fn new() -> Self {
        let started = Instant::now();
        let device = Device::configurable(1_420, Limits::default(), (started, SystemTime::now()));
        Self { device, started, port: AtomicU16::new(1), mark: AtomicU32::new(0) }
    }

    /// All answers to `text`, and whether the conversation goes on.
    fn ask(&self, text: &[u8], piece: usize) -> (String, bool) {
        let (mut conversation, mut answers) = (Conversation::default(), Vec::new());
        for piece in text.chunks(piece.max(1)) {
            let write = |answer: &[u8]| {
                answers.extend_from_slice(answer);
                Ok(())
            };
            if !conversation.take(piece, self, write).expect("nothing that fails") {
                return (String::from_utf8(answers).expect("text"), false);
            }
        }
        (String::from_utf8(answers).expect("text"), true)
    }
}

impl Managed for Interface {
    fn device(&self) -> &Device {
        &self.device
    }

    fn port(&self) -> u16 {
        self.port.load(Relaxed)
    }

    fn mark(&self) -> u32 {
        self.mark.load(Relaxed)
    }

    fn set(&self, changes: &Changes) -> Result<(), Errno> {
        self.port.store(changes.listen_port.unwrap_or(self.port()), Relaxed);
        self.mark.store(changes.firewall_mark.unwrap_or(self.mark()), Relaxed);
        self.device.configure(self.started, changes, &mut DatagramBatch::default()).map_err(|_| Errno::EOPNOTSUPP)
    }
}

/// What `wg show` says of a peer that does not change by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Peer {
    preshared: String,
    endpoint: Option<String>,
    keepalive: String,
    allowed: BTreeSet<IpNet>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Configuration {
    private_key: Option<String>,
    port: String,
    mark: String,
    peers: BTreeMap<String, Peer>,
}

fuzz_target!(|input: Input| {
    let mut text = Vec::new();
    for request in &input.requests {
        match request {
            Request::Get => text.extend(b"get=1\n\n"),
            Request::Set { lines } => {
                text.extend(b"set=1\n");
                for line in lines {
                    text.extend(line.text().bytes());
                    text.push(b'\n');
                }
                text.push(b'\n');
            }
            Request::Noise(noise) => text.extend(noise),
        }
    }
    let edited = !input.edits.is_empty() && !text.is_empty();
    for (at, byte) in &input.edits {
        let length = text.len().max(1);
        if let Some(place) = text.get_mut(usize::from(*at) % length) {
            *place = *byte;
        }
    }
    let interface = Interface::new();
    let (answers, goes_on) = interface.ask(&text, input.piece.into());
    let whole = Interface::new().ask(&text, text.len());
    assert_eq!((errnos(&answers), goes_on), (errnos(&whole.0), whole.1), "the pieces matter");
    let shown = get(&interface);
    if !edited && let Some((model, taken)) = model(&input.requests) {
        assert!(goes_on);
        let zero: Vec<bool> = errnos(&answers).iter().map(|errno| errno == "0").collect();
        assert_eq!(zero, taken, "{:?} is answered {answers:?}", String::from_utf8_lossy(&text));
        assert_eq!(shown, model);
    }
    // `wg showconf` and `wg setconf`.
    let other = Interface::new();
    let (answer, _) = other.ask(set_again(&shown).as_bytes(), usize::MAX);
    assert_eq!(errnos(&answer), ["0"]);
    assert_eq!(get(&other), shown);
});

fn errnos(answers: &str) -> Vec<String> {
    answers.lines().filter_map(|line| line.strip_prefix("errno=")).map(str::to_owned).collect()
}

/// Reads the answer to `get=1`, as `wg` does.
fn get(interface: &Interface) -> Configuration {
    let (answer, _) = interface.ask(b"get=1\n\n", usize::MAX);
    assert!(answer.ends_with("errno=0\n\n"), "{answer}");
    let mut found = Configuration { mark: "0".to_owned(), ..Configuration::default() };
    let mut key = None;
    for line in answer.lines().take_while(|line| !line.starts_with("errno")) {
        let (name, value) = line.split_once('=').expect("key=value");
        let mut peer = key.as_ref().and_then(|key| found.peers.get_mut(key));
        match (name, &mut peer) {
            ("private_key", None) => found.private_key = Some(value.to_owned()),
            ("listen_port", None) => found.port = value.to_owned(),
            ("fwmark", None) => found.mark = value.to_owned(),
            ("public_key", _) => {
                assert!(found.peers.insert(value.to_owned(), Peer::default()).is_none(), "twice");
                key = Some(value.to_owned());
            }
            ("preshared_key", Some(peer)) => peer.preshared = value.to_owned(),
            ("endpoint", Some(peer)) => peer.endpoint = Some(value.to_owned()),
            ("persistent_keepalive_interval", Some(peer)) => peer.keepalive = value.to_owned(),
            ("allowed_ip", Some(peer)) => {
                assert!(peer.allowed.insert(value.parse().expect("a prefix")), "twice");
            }
            ("protocol_version", Some(_)) => assert_eq!(value, "1"),
            ("last_handshake_time_sec" | "last_handshake_time_nsec" | "tx_bytes" | "rx_bytes", Some(_)) => {
                value.parse::<u64>().expect("a number");
            }
            _ => panic!("{line}"),
        }
    }
    found
}

/// The request that makes a device be configured so.
fn set_again(shown: &Configuration) -> String {
    let none = hex(&[0; 32]);
    let mut text = format!(
        "set=1\nprivate_key={}\nlisten_port={}\nfwmark={}\nreplace_peers=true\n",
        shown.private_key.as_ref().unwrap_or(&none),
        shown.port,
        shown.mark
    );
    for (key, peer) in &shown.peers {
        text += &format!("public_key={key}\npreshared_key={}\nreplace_allowed_ips=true\n", peer.preshared);
        if let Some(endpoint) = &peer.endpoint {
            text += &format!("endpoint={endpoint}\n");
        }
        text += &format!("persistent_keepalive_interval={}\n", peer.keepalive);
        for net in &peer.allowed {
            text += &format!("allowed_ip={net}\n");
        }
    }
    text + "\n"
}

/// What the requests come to, and whether each is taken; `None` if one is of noise.
fn model(requests: &[Request]) -> Option<(Configuration, Vec<bool>)> {
    let mut found = Configuration { port: "1".to_owned(), mark: "0".to_owned(), ..Configuration::default() };
    let mut taken = Vec::new();
    for request in requests {
        taken.push(match request {
            Request::Get => true,
            Request::Noise(_) => return None,
            Request::Set { lines } => apply(&mut found, lines)?,
        });
    }
    Some((found, taken))
}

/// One `set=1`, all or nothing: whether it is taken. First what is of the interface, then the peers in order.
fn apply(found: &mut Configuration, lines: &[Line]) -> Option<bool> {
    if lines.iter().any(|line| matches!(line, Line::Noise(_))) {
        return None;
    }
    let mut blocks: Vec<(String, Vec<&Line>)> = Vec::new();
    let (mut private_key, mut port, mut mark, mut replaces) = (None, None, None, false);
    for line in lines {
        match line {
            Line::PrivateKey(key) => private_key = Some(private(*key)),
            Line::ListenPort(value) => port = Some(value),
            Line::Mark(value) => mark = Some(value),
            Line::ReplacePeers => replaces = true,
            Line::Peer(key) => blocks.push((hex(&public(*key)), Vec::new())),
            _ => match blocks.last_mut() {
                Some((_, block)) => block.push(line),
                // Refused whole.
                None => return Some(false),
            },
        }
    }
    found.port = port.map_or(found.port.clone(), u16::to_string);
    found.mark = mark.map_or(found.mark.clone(), u32::to_string);
    if let Some(key) = private_key {
        found.private_key = (key != [0; 32]).then(|| hex(&key));
    }
    let own = found.private_key.as_ref().map(|text| {
        let first = u8::from_str_radix(&text[..2], 16).expect("hex");
        hex(PrivateKey::from_bytes(&[first; 32]).public_key().as_bytes())
    });
    found.peers.retain(|key, _| Some(key) != own.as_ref());
    if replaces {
        found.peers.retain(|key, _| blocks.iter().any(|(named, _)| named == key));
    }
    let mut named = BTreeSet::new();
    for (key, block) in blocks {
        let anew = replaces && named.insert(key.clone());
        let says = |wanted: fn(&Line) -> bool| block.iter().any(|line| wanted(line));
        if says(|line| matches!(line, Line::Remove)) || Some(&key) == own.as_ref() {
            found.peers.remove(&key);
            continue;
        }
        if says(|line| matches!(line, Line::UpdateOnly)) && !found.peers.contains_key(&key) {
            continue;
        }
        let fresh = Peer { preshared: hex(&[0; 32]), keepalive: "0".to_owned(), ..Peer::default() };
        let peer = found.peers.entry(key.clone()).or_insert(fresh);
        if anew {
            peer.preshared = hex(&[0; 32]);
            peer.keepalive = "0".to_owned();
        }
        if anew || says(|line| matches!(line, Line::ReplaceAllowedIps)) {
            peer.allowed.clear();
        }
        for line in block {
            let peer = found.peers.get_mut(&key)?;
            match line {
                Line::Preshared(key) => peer.preshared = hex(&[*key; 32]),
                Line::EndpointV4(ip, port) => peer.endpoint = Some(format!("{}:{port}", IpAddr::from(*ip))),
                Line::EndpointV6(ip, port) => peer.endpoint = Some(format!("[{}]:{port}", IpAddr::from(*ip))),
                Line::Keepalive(seconds) => peer.keepalive = seconds.to_string(),
                Line::AllowedV4 { remove, .. } | Line::AllowedV6 { remove, .. } => {
                    let net = line.net()?.trunc();
                    if *remove {
                        peer.allowed.remove(&net);
                    } else {
                        for peer in found.peers.values_mut() {
                            peer.allowed.remove(&net);
                        }
                        found.peers.get_mut(&key)?.allowed.insert(net);
                    }
                }
                _ => {}
            }
        }
    }
    Some(true)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
