//! Handshake initiations of keys that nobody knows: sealed for the target's key, with a valid first MAC.

use std::io::BufRead as _;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::StaticSecret;
use serde_json::json;
use servos_mesh::PublicKey;

use super::state::scrambled;
use super::{pause, say, say_ready};

/// Between two bursts.
const PAUSE: Duration = Duration::from_micros(200);

/// Tells these keys from those of the state.
const STRANGERS: u64 = 1 << 40;

/// Makes `different` initiations, then sends them in turn at `rate` a second until it is told to stop.
pub(super) fn flood(target: &str, key: &str, rate: f64, different: u64) -> Result<()> {
    let key: PublicKey = key.parse()?;
    let initiations: Vec<_> = (0..different).map(|number| initiation(&key, number)).collect::<Result<_>>()?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(target).with_context(|| format!("cannot reach {target}"))?;
    say_ready()?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whatever is said, or the end of the bench, stops it.
            let _ = std::io::stdin().lock().read_line(&mut String::new());
            stop.store(true, Ordering::Relaxed);
        });
        let began = Instant::now();
        let (mut tried, mut sent) = (0_u64, 0_u64);
        let mut in_turn = initiations.iter().cycle();
        while !stop.load(Ordering::Relaxed) {
            let due = (rate * began.elapsed().as_secs_f64()) as u64;
            for initiation in in_turn.by_ref().take(due.saturating_sub(tried) as usize) {
                // A port where nobody listens refuses; the flood goes on.
                sent += u64::from(socket.send(initiation).is_ok());
            }
            tried = due;
            pause(PAUSE);
        }
        say(&json!({ "sent": sent, "rate": sent as f64 / began.elapsed().as_secs_f64() }))
    })
}

fn initiation(target: &PublicKey, number: u64) -> Result<Vec<u8>> {
    let own = StaticSecret::from(scrambled(STRANGERS + number));
    let mut tunnel = Tunn::new(own, (*target.as_bytes()).into(), None, None, number as u32, None);
    let mut message = [0; 256];
    match tunnel.format_handshake_initiation(&mut message, false) {
        TunnResult::WriteToNetwork(message) => Ok(message.to_vec()),
        other => bail!("no initiation: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use boringtun::noise::handshake::parse_handshake_anon;
    use boringtun::noise::rate_limiter::RateLimiter;
    use boringtun::noise::{Packet, Tunn};
    use boringtun::x25519;

    use super::*;

    #[test]
    fn an_initiation_costs_its_target_the_whole_way_to_an_unknown_key() {
        let own = StaticSecret::from([9; 32]);
        let public = x25519::PublicKey::from(&own);
        let key = PublicKey::from_bytes(public.to_bytes()).unwrap();
        for number in 0..2 {
            let message = initiation(&key, number).unwrap();
            assert!(RateLimiter::new(&public, 10).verify_packet(None, &message, &mut [0; 64]).is_ok(), "first MAC");
            let Ok(Packet::HandshakeInit(parsed)) = Tunn::parse_incoming_packet(&message) else {
                panic!("{message:?}")
            };
            let sender = parse_handshake_anon(&own, &public, &parsed).unwrap().peer_static_public;
            let expected = x25519::PublicKey::from(&StaticSecret::from(scrambled(STRANGERS + number)));
            assert_eq!(sender, *expected.as_bytes());
        }
    }
}
