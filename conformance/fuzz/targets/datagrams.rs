//! Three devices, and a script of what befalls them: packets, time, changes of the mesh, and an attacker who keeps,
//! changes, joins, doubles and forges datagrams. See `network` for what must hold; and when the attacker is gone, all
//! reach each other again.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use servos_fuzz::network::{NODES, Network, home};

/// Steps that are looked at.
const STEPS: usize = 64;

#[derive(Arbitrary, Debug)]
struct Script {
    configured: bool,
    strict: bool,
    heals: bool,
    steps: Vec<Step>,
}

/// Servers are told by their number; datagrams by how many came after them.
#[derive(Arbitrary, Debug)]
enum Step {
    /// A packet of one to another.
    Send {
        from: u8,
        to: u8,
        length: u16,
    },
    /// Whatever an interface may give.
    Interface {
        at: u8,
        header: [u8; 10],
        packet: Vec<u8>,
    },
    /// Datagrams pass as they should.
    Exchange,
    /// One datagram that was seen, again, or for somebody else, or from elsewhere.
    Again {
        datagram: u8,
        to: Option<u8>,
        source: Option<Source>,
    },
    /// One that was seen, changed; `stamp`: its first MAC is right.
    Changed {
        datagram: u8,
        edits: Vec<(u8, u8)>,
        length: Option<u8>,
        stamp: bool,
        source: Option<Source>,
    },
    /// Several in one receive.
    Together {
        datagrams: Vec<u8>,
        to: u8,
        stride: u16,
        source: Source,
    },
    /// Anything; `stamp`: with a first MAC that is right.
    Forged {
        to: u8,
        kind: u8,
        bytes: Vec<u8>,
        stride: u16,
        stamp: bool,
        source: Source,
    },
    Pass {
        millis: u16,
    },
    Back {
        millis: u8,
    },
    Wait {
        seconds: u8,
    },
    Change {
        at: u8,
        knows: u8,
        moved: bool,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Source {
    Server(u8),
    V4([u8; 4], u16),
    V6([u16; 8], u16),
}

impl Source {
    fn address(self) -> std::net::SocketAddr {
        match self {
            Self::Server(at) => home(server(at)),
            Self::V4(ip, port) => (ip, port).into(),
            Self::V6(ip, port) => (ip, port).into(),
        }
    }
}

fn server(at: u8) -> usize {
    usize::from(at) % NODES
}

fuzz_target!(|script: Script| {
    let mut network = Network::new(script.configured, script.strict);
    for (mark, step) in script.steps.iter().take(STEPS).enumerate() {
        befall(&mut network, mark as u32, step);
        network.check();
        network.pass(Duration::from_millis(1));
    }
    if script.heals {
        heal(&mut network);
    }
});

fn befall(network: &mut Network, mark: u32, step: &Step) {
    match step {
        Step::Send { from, to, length } => {
            network.marked_packet(server(*from), usize::from(*to) % (NODES + 1), mark, usize::from(*length));
        }
        Step::Interface { at, header, packet } => network.packet(server(*at), header, packet),
        Step::Exchange => network.exchange(),
        Step::Again { datagram, to, source } => {
            let Some(seen) = recall(network, *datagram) else { return };
            let to = to.map_or_else(|| addressee(network, &seen), server);
            let source = source.map_or(seen.from, Source::address);
            network.datagrams(to, source, &seen.bytes, seen.bytes.len());
        }
        Step::Changed { datagram, edits, length, stamp, source } => {
            let Some(mut seen) = recall(network, *datagram) else { return };
            if let Some(length) = length {
                seen.bytes.resize(usize::from(*length), 0x5a);
            }
            for (at, value) in edits {
                let length = seen.bytes.len().max(1);
                if let Some(byte) = seen.bytes.get_mut(usize::from(*at) % length) {
                    *byte = *value;
                }
            }
            let to = addressee(network, &seen);
            if *stamp {
                Network::stamp(to, &mut seen.bytes);
            }
            let source = source.map_or(seen.from, Source::address);
            network.datagrams(to, source, &seen.bytes, seen.bytes.len());
        }
        Step::Together { datagrams, to, stride, source } => {
            let bytes: Vec<u8> = datagrams
                .iter()
                .filter_map(|datagram| recall(network, *datagram))
                .flat_map(|seen| seen.bytes)
                .collect();
            network.datagrams(server(*to), source.address(), &bytes, usize::from(*stride));
        }
        Step::Forged { to, kind, bytes, stride, stamp, source } => {
            let mut bytes = bytes.clone();
            let length = [bytes.len(), 148, 92, 64, bytes.len().max(32)][usize::from(kind % 5)];
            bytes.resize(length, 0x5a);
            if bytes.len() >= 4 && kind % 5 != 0 {
                bytes[..4].copy_from_slice(&[kind % 5, 0, 0, 0]);
            }
            if *stamp {
                Network::stamp(server(*to), &mut bytes);
            }
            let stride = if kind % 5 == 0 { usize::from(*stride) } else { bytes.len() };
            network.datagrams(server(*to), source.address(), &bytes, stride);
        }
        Step::Pass { millis } => network.pass(Duration::from_millis((*millis).into())),
        Step::Back { millis } => network.step_back(Duration::from_millis((*millis).into())),
        Step::Wait { seconds } => network.live(Duration::from_secs((*seconds).into())),
        Step::Change { at, knows, moved } => network.change(server(*at), *knows, *moved),
    }
}

/// The datagram that was seen so many before the last.
fn recall(network: &Network, back: u8) -> Option<servos_fuzz::network::Seen> {
    let at = network.seen.len().checked_sub(usize::from(back) % network.seen.len().max(1) + 1)?;
    network.seen.get(at).cloned()
}

fn addressee(network: &Network, seen: &servos_fuzz::network::Seen) -> usize {
    network.nodes.iter().position(|node| node.at == seen.to).unwrap_or_default()
}

/// The attacker is gone, the mesh is as it was: packets arrive.
fn heal(network: &mut Network) {
    network.restore();
    network.live(Duration::from_secs(400));
    network.forget_missing();
    for (from, to) in [(1, 0), (0, 1), (2, 1), (1, 2)] {
        for mark in 0..2 {
            network.marked_packet(from, to, 1_000 + mark, 100);
            network.live(Duration::from_secs(20));
        }
    }
    network.check();
    for from in 0..NODES {
        assert_eq!(network.missing(from), 0, "a packet of {from} was lost in the end");
    }
}
