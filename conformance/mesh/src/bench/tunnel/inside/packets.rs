//! Small UDP packets at a rate, and the count of those that arrive. Both in batches, so that neither is what is measured.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};
use serde_json::json;

use super::{pause, say, say_ready};

/// Bytes of a packet, without UDP's and IP's headers.
const LENGTH: usize = 64;

/// Packets of one system call.
const BATCH: usize = 64;

/// Packets that a sender which fell behind sends at once: a device's queue holds some hundreds.
const BURST: f64 = 128.0;

/// Between two bursts.
const PAUSE: Duration = Duration::from_micros(100);

/// Buffer of the counting socket, so that a busy core loses nothing there: 32 MiB.
const RECEIVE_BUFFER: usize = 32 << 20;

/// Nothing for so long after the first packet: that was the last one.
const SILENCE: Duration = Duration::from_millis(300);

/// Nothing at all for so long: everything is lost.
const NOTHING: Duration = Duration::from_secs(10);

pub(super) fn count(port: u16) -> Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", port)).with_context(|| format!("cannot bind {port}"))?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    socket.set_read_timeout(Some(SILENCE))?;
    say_ready()?;
    let began = Instant::now();
    let mut received = 0_usize;
    let mut buffers = [[0; LENGTH]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(messages) => received += messages.count(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if received == 0 && began.elapsed() < NOTHING => {}
            Err(Errno::EAGAIN) => return say(&json!({ "received": received })),
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn send(address: &str, rate: f64, millis: u64) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address).with_context(|| format!("cannot reach {address}"))?;
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let (mut sent, mut forgone) = (0_usize, 0.0);
    let began = Instant::now();
    let length = Duration::from_millis(millis);
    loop {
        let passed = began.elapsed().min(length);
        let due = rate * passed.as_secs_f64() - forgone - sent as f64;
        // What it could not send in time it does not send at all: a flood would not be the rate that was asked.
        let burst = BURST.max(rate * 2.0 * PAUSE.as_secs_f64());
        forgone += (due - burst).max(0.0);
        let mut left = due.min(burst).max(0.0) as usize;
        while left > 0 {
            let count = batch(&socket, &mut headers, left.min(BATCH))?;
            (sent, left) = (sent + count, left - count);
        }
        if passed == length {
            let rate = sent as f64 / began.elapsed().as_secs_f64();
            return say(&json!({ "sent": sent, "rate": rate }));
        }
        pause(PAUSE);
    }
}

/// Sends so many packets, or fewer if the system says so.
fn batch(socket: &UdpSocket, headers: &mut MultiHeaders<SockaddrIn>, count: usize) -> Result<usize> {
    let payload = [0; LENGTH];
    let slices = [[IoSlice::new(&payload)]; BATCH];
    let nowhere = [None; BATCH];
    let no_messages: [nix::sys::socket::ControlMessage<'_>; 0] = [];
    let flags = MsgFlags::empty();
    match sendmmsg(socket.as_raw_fd(), headers, &slices[..count], &nowhere[..count], no_messages, flags) {
        Ok(messages) => Ok(messages.count()),
        // A full queue of the interface: that many are lost on the way, and count as sent.
        Err(Errno::ENOBUFS) => Ok(count),
        Err(error) => Err(error).context("cannot send"),
    }
}
