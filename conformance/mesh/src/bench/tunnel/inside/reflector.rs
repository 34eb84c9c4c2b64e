//! A thousand peers behind one socket: they open sessions when told to, and send every packet back where it came from.

use std::io::BufRead as _;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use boringtun::noise::{Tunn, TunnResult};
use serde_json::json;
use servos_mesh::PublicKey;

use super::state::{SWARM, private_key};
use super::{say, say_ready};

/// Between two initiations: 200 a second stay below what a tunnel answers without a cookie.
const PACE: Duration = Duration::from_millis(5);

/// An initiation without answer is sent again after so long.
const AGAIN: Duration = Duration::from_secs(3);

/// All sessions are there after so long, or something is broken.
const DEADLINE: Duration = Duration::from_secs(60);

/// Types of messages, and where the receiver's index stands (WireGuard paper §5.4).
const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;

/// Takes lines of a number N: makes a session with each of the first N peers, and says when they stand.
pub(super) fn reflect(port: u16, target: SocketAddr, key: &str) -> Result<()> {
    let key: PublicKey = key.parse()?;
    let peers = (1..=SWARM).map(|index| Peer::new(index, &key)).collect();
    let socket = UdpSocket::bind(("0.0.0.0", port)).with_context(|| format!("cannot bind {port}"))?;
    socket.set_read_timeout(Some(PACE))?;
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            // Nobody listens any more: the reflector has failed, and says why itself.
            let _ = tell.send(line);
        }
    });
    say_ready()?;
    Swarm { socket, target, peers, wanted: 0, next: 0, asked: Instant::now() }.run(&told)
}

struct Peer {
    tunnel: Tunn,
    /// When it last sent an initiation; none before the first.
    initiated: Option<Instant>,
    stands: bool,
}

impl Peer {
    fn new(index: u32, key: &PublicKey) -> Self {
        let tunnel = Tunn::new(private_key(index), (*key.as_bytes()).into(), None, None, index, None);
        Self { tunnel, initiated: None, stands: false }
    }
}

struct Swarm {
    socket: UdpSocket,
    target: SocketAddr,
    /// In the order of their indices, which begin at 1.
    peers: Vec<Peer>,
    /// How many sessions are to be made; 0: none, or all stand.
    wanted: usize,
    /// Where to look for the next that has none.
    next: usize,
    asked: Instant,
}

impl Swarm {
    fn run(mut self, told: &Receiver<String>) -> Result<()> {
        let mut datagram = [0; 2_048];
        let mut paced = Instant::now();
        loop {
            if let Ok((length, from)) = self.socket.recv_from(&mut datagram) {
                self.handle(&datagram[..length], from)?;
            }
            if let Ok(line) = told.try_recv() {
                (self.wanted, self.asked) = (line.trim().parse::<usize>()?.min(self.peers.len()), Instant::now());
            }
            if self.wanted > 0 && paced.elapsed() >= PACE {
                paced = Instant::now();
                self.initiate_next()?;
            }
        }
    }

    fn initiate_next(&mut self) -> Result<()> {
        let wanted = &mut self.peers[..self.wanted];
        if wanted.iter().all(|peer| peer.stands) {
            say(&json!({ "sessions": self.wanted }))?;
            self.wanted = 0;
            return Ok(());
        }
        if self.asked.elapsed() > DEADLINE {
            let standing = wanted.iter().filter(|peer| peer.stands).count();
            bail!("{standing} of {} sessions within {} s", self.wanted, DEADLINE.as_secs());
        }
        let count = wanted.len();
        let due = |peer: &Peer| !peer.stands && peer.initiated.is_none_or(|at| at.elapsed() > AGAIN);
        let Some(at) = (self.next..self.next + count).map(|at| at % count).find(|at| due(&wanted[*at])) else {
            return Ok(());
        };
        self.next = at + 1;
        let peer = &mut wanted[at];
        peer.initiated = Some(Instant::now());
        let mut message = [0; 256];
        if let TunnResult::WriteToNetwork(message) = peer.tunnel.format_handshake_initiation(&mut message, true) {
            self.socket.send_to(message, self.target)?;
        }
        Ok(())
    }

    fn handle(&mut self, datagram: &[u8], from: SocketAddr) -> Result<()> {
        let Some(at) = addressee(datagram) else {
            return Ok(());
        };
        let Some(peer) = self.peers.get_mut(at) else {
            return Ok(());
        };
        let mut opened = [0; 2_048];
        match peer.tunnel.decapsulate(Some(from.ip()), datagram, &mut opened) {
            TunnResult::WriteToNetwork(answer) => {
                // The answer to a response is an empty packet, which confirms the session.
                peer.stands |= datagram[0] == RESPONSE;
                self.socket.send_to(answer, from)?;
            }
            TunnResult::WriteToTunnelV4(packet, _) => {
                turn_round(packet);
                let mut sealed = [0; 2_112];
                if let TunnResult::WriteToNetwork(sealed) = peer.tunnel.encapsulate(packet, &mut sealed) {
                    self.socket.send_to(sealed, from)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whom a datagram is for, from 0. Initiations carry no index; the mesh sends them to the first peer alone.
fn addressee(datagram: &[u8]) -> Option<usize> {
    let receiver = |at: usize| Some(u32::from_le_bytes(datagram.get(at..at + 4)?.try_into().ok()?));
    let index = match *datagram.first()? {
        INITIATION => return Some(0),
        RESPONSE => receiver(8)?,
        _ => receiver(4)?,
    };
    // The library puts its own counter into the lowest byte.
    (index >> 8).checked_sub(1).map(|at| at as usize)
}

/// Swaps addresses and ports of an IPv4 packet; no checksum changes by that.
fn turn_round(packet: &mut [u8]) {
    let header = usize::from(packet.first().copied().unwrap_or_default() & 15) * 4;
    if header < 20 || packet.len() < header + 4 {
        return;
    }
    for (one, two, length) in [(12, 16, 4), (header, header + 2, 2)] {
        for byte in 0..length {
            packet.swap(one + byte, two + byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_goes_back_where_it_came_from() {
        let mut packet = [0; 28];
        packet[0] = 0x45;
        packet[12..24].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 9]);
        turn_round(&mut packet);
        assert_eq!(packet[12..24], [10, 0, 0, 2, 10, 0, 0, 1, 0, 9, 0, 7]);
        turn_round(&mut packet[..21]);
    }

    #[test]
    fn a_message_is_for_the_index_that_it_names() {
        assert_eq!(addressee(&[1, 0, 0, 0]), Some(0));
        assert_eq!(addressee(&[4, 0, 0, 0, 9, 3, 0, 0]), Some(2));
        assert_eq!(addressee(&[4, 0, 0, 0, 9, 0, 0, 0]), None);
        assert_eq!(addressee(&[4, 0]), None);
    }
}
