//! UDP echo: a server, and a client that asks one at a time and notes how long each answer takes.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{pause, say, say_ready};

/// Bytes of an echo; the first eight are its number.
const LENGTH: usize = 64;

/// An echo that takes longer is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// Between two echoes: long enough for the devices to fall asleep.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) fn serve(address: &str) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
    say_ready()?;
    let mut packet = [0; 2_048];
    loop {
        let (length, from) = socket.recv_from(&mut packet)?;
        // The asker notices a lost answer by itself.
        let _ = socket.send_to(&packet[..length], from);
    }
}

pub(super) fn first(address: &str) -> Result<()> {
    let first = Asker::new(address)?.ask()?.context("the first echo is lost")?;
    say(&json!({ "first_us": micros(first) }))
}

pub(super) fn ask(address: &str, millis: u64) -> Result<()> {
    let mut asker = Asker::new(address)?;
    let mut times = Vec::new();
    let mut lost = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(millis) {
        let answered = asker.ask()?;
        lost += usize::from(answered.is_none());
        // Left out, those that are lost would make the others look better.
        times.push(answered.unwrap_or(LOST_AFTER));
        pause(PAUSE);
    }
    ensure!(lost < times.len(), "no echo came back");
    times.sort();
    say(&json!({
        "p50_us": micros(percentile(&times, 50)),
        "p99_us": micros(percentile(&times, 99)),
        "echoes": times.len(),
        "lost": lost,
    }))
}

/// Asks for one echo at a time.
pub(super) struct Asker {
    socket: UdpSocket,
    number: u64,
}

impl Asker {
    pub(super) fn new(address: &str) -> Result<Self> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(address).with_context(|| format!("cannot reach {address}"))?;
        socket.set_read_timeout(Some(LOST_AFTER))?;
        Ok(Self { socket, number: 0 })
    }

    /// How long the answer took; none if it is lost.
    pub(super) fn ask(&mut self) -> Result<Option<Duration>> {
        self.number += 1;
        let mut packet = [0; LENGTH];
        packet[..8].copy_from_slice(&self.number.to_le_bytes());
        let began = Instant::now();
        self.socket.send(&packet)?;
        let mut answer = [0; LENGTH];
        while began.elapsed() < LOST_AFTER {
            // A refusal and the end of the read's time are losses alike.
            let Ok(length) = self.socket.recv(&mut answer) else {
                return Ok(None);
            };
            // An answer that was given up is passed over.
            if length == LENGTH && answer[..8] == packet[..8] {
                return Ok(Some(began.elapsed()));
            }
        }
        Ok(None)
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_least_value_that_so_many_do_not_exceed() {
        let times: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(percentile(&times, 50), Duration::from_micros(100));
        assert_eq!(percentile(&times, 99), Duration::from_micros(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_micros(1));
    }
}
