//! The UDP sockets, for each lane one for IPv4 and one for IPv6, with segmentation offload both ways.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use nix::errno::Errno;
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::socket::{setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use parking_lot::Mutex;
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Signal, wait};
use crate::TunnelError;
use crate::counters::LiveDrops;
use crate::device::{DatagramBatch, Endpoint, Run};
use crate::limits::{SEGMENTATION_RETRY, SEND_WAIT, SOCKET_BUFFER};

/// Which of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// All sockets, bound to one port.
pub(super) struct Sockets {
    lanes: Vec<Ends>,
    port: u16,
    mark: AtomicU32,
}

/// The sockets of a lane.
struct Ends {
    v4: UdpEnd,
    /// None where the machine has no IPv6.
    v6: Option<UdpEnd>,
}

/// Whether a port is shared with sockets of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    /// One that nobody has; others of ours may be bound to it afterwards.
    First,
    /// One that is ours already.
    Shared,
}

/// One socket.
pub(super) struct UdpEnd {
    socket: UdpSocket,
    /// Remembers that segmentation was refused: the library takes each EINVAL and EIO for that, of whatever message. Renewed
    /// when it turns out that it was for another reason, when the MTU changes, and after [`SEGMENTATION_RETRY`].
    state: ArcSwap<UdpSocketState>,
    renewed: Mutex<Instant>,
}

impl Sockets {
    /// Binds `lanes` of each family to `port`, or to the same free one if it is 0, and marks what is sent.
    pub(super) fn bind(port: u16, mark: Option<u32>, lanes: usize) -> Result<Self, TunnelError> {
        let explain = |port: u16| {
            move |source: io::Error| match source.kind() {
                io::ErrorKind::AddrInUse => TunnelError::PortInUse { port },
                _ => TunnelError::Socket { port, source },
            }
        };
        let v4 = UdpEnd::bind((Ipv4Addr::UNSPECIFIED, port).into(), Port::First).map_err(explain(port))?;
        let port = v4.socket.local_addr().map_err(explain(port))?.port();
        let v6 = match UdpEnd::bind((Ipv6Addr::UNSPECIFIED, port).into(), Port::First) {
            Ok(end) => Some(end),
            Err(error) if lacks_ipv6(&error) => {
                tracing::info!(%error, "no IPv6 on this machine: peers are reached over IPv4 alone");
                None
            }
            Err(error) => return Err(explain(port)(error)),
        };
        let mut sockets = Self { lanes: vec![Ends { v4, v6 }], port, mark: AtomicU32::new(0) };
        sockets.share(lanes).map_err(explain(port))?;
        if let Some(mark) = mark.filter(|mark| *mark != 0) {
            sockets.set_mark(mark)?;
        }
        Ok(sockets)
    }

    /// Binds the sockets of the other lanes.
    fn share(&mut self, lanes: usize) -> io::Result<()> {
        if lanes <= 1 {
            return Ok(());
        }
        // Set behind the first binding, which so was refused where another program has the port.
        for end in self.ends() {
            SockRef::from(&end.socket).set_reuse_port(true)?;
        }
        let has_ipv6 = self.lanes[0].v6.is_some();
        while self.lanes.len() < lanes {
            let v4 = UdpEnd::bind((Ipv4Addr::UNSPECIFIED, self.port).into(), Port::Shared)?;
            let bind_v6 = || UdpEnd::bind((Ipv6Addr::UNSPECIFIED, self.port).into(), Port::Shared);
            let v6 = has_ipv6.then(bind_v6).transpose()?;
            self.lanes.push(Ends { v4, v6 });
        }
        Ok(())
    }

    fn ends(&self) -> impl Iterator<Item = &UdpEnd> {
        self.lanes.iter().flat_map(|lane| std::iter::once(&lane.v4).chain(&lane.v6))
    }

    pub(super) fn mark(&self) -> u32 {
        self.mark.load(Relaxed)
    }

    /// Marks what is sent from here on; 0 for no mark.
    pub(super) fn set_mark(&self, mark: u32) -> Result<(), TunnelError> {
        if self.mark() == mark {
            return Ok(());
        }
        for end in self.ends() {
            let set = setsockopt(&end.socket, sockopt::Mark, &mark);
            set.map_err(|errno| TunnelError::Socket { port: self.port, source: errno.into() })?;
        }
        self.mark.store(mark, Relaxed);
        Ok(())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn families(&self) -> impl Iterator<Item = Family> + use<> {
        let v6 = self.lanes[0].v6.as_ref().map(|_| Family::V6);
        std::iter::once(Family::V4).chain(v6)
    }

    pub(super) fn end(&self, lane: usize, family: Family) -> Option<&UdpEnd> {
        let ends = self.lanes.get(lane)?;
        match family {
            Family::V4 => Some(&ends.v4),
            Family::V6 => ends.v6.as_ref(),
        }
    }

    /// Tries segmentation again where it was refused.
    pub(super) fn renew(&self) {
        self.ends().for_each(UdpEnd::renew);
    }

    /// Sends a batch, runs of equal datagrams in one call each; how many datagrams were sent. What cannot be is counted
    /// and dropped: UDP. `more`: more is about to follow, and a last run that could grow by it waits in the batch.
    /// `lost`: is told an address of ours that the kernel does not send from any more.
    pub(super) fn send(
        &self,
        lane: usize,
        batch: &DatagramBatch,
        more: bool,
        drops: &LiveDrops,
        stop: &Signal,
        lost: impl Fn(IpAddr),
    ) -> usize {
        let mut first = 0;
        while let Some((alone, _)) = batch.run(first, 1) {
            let family = if alone.to.to.is_ipv4() { Family::V4 } else { Family::V6 };
            let Some(end) = self.end(lane, family) else {
                drops.send_failed.one();
                first += 1;
                continue;
            };
            // Read for each run: it falls to 1 when the kernel refuses segmentation.
            let Some((run, count)) = batch.run(first, end.segments()) else { break };
            if more && run.is_open {
                break;
            }
            if let Some(source) = end.send_run(&run, drops, stop) {
                lost(source);
            }
            first += count;
        }
        first
    }
}

impl UdpEnd {
    fn bind(address: SocketAddr, port: Port) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Beyond the system's ceiling only with privilege; what is granted is enough to work with.
        if setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER).is_err() {
            let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        }
        if setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER).is_err() {
            let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        }
        socket.set_reuse_port(port == Port::Shared)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let state = ArcSwap::from_pointee(state_of(&socket)?);
        Ok(Self { socket, state, renewed: Mutex::new(Instant::now()) })
    }

    /// Receives into `slices`, at most one batch; how many were filled.
    pub(super) fn receive(&self, slices: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> io::Result<usize> {
        self.state.load().recv(UdpSockRef::from(&self.socket), slices, meta)
    }

    /// Segments that one call may send.
    fn segments(&self) -> usize {
        let segments = self.state.load().max_gso_segments();
        if segments > 1 || self.renewed.lock().elapsed() < SEGMENTATION_RETRY {
            return segments;
        }
        self.renew();
        self.state.load().max_gso_segments()
    }

    /// Tries segmentation again if it was refused.
    fn renew(&self) {
        match fresh_state(&self.socket) {
            Ok(state) => self.state.store(state.into()),
            Err(error) => tracing::debug!(%error, "the socket's state stays as it was"),
        }
        *self.renewed.lock() = Instant::now();
    }

    /// Our address that it could not be sent from, if that is why it was sent from another.
    fn send_run(&self, run: &Run<'_>, drops: &LiveDrops, stop: &Signal) -> Option<IpAddr> {
        let Err(error) = self.send_one(run.to, run.bytes, Some(run.segment), stop) else { return None };
        let segmented = run.bytes.len() > run.segment;
        if !(segmented || run.to.from.is_some()) || !is_refused(&error) {
            count_drop(drops, &error, run.bytes.len().div_ceil(run.segment));
            if halts_segmentation(&error) {
                self.renew_if_halted();
            }
            return None;
        }
        // Segmentation was refused, one segment is too long for the way, or the address is not ours any more: one by
        // one, none is lost for another.
        let (mut to, mut lost, mut halted) = (run.to, None, false);
        for datagram in run.bytes.chunks(run.segment) {
            let mut sent = self.send_one(to, datagram, None, stop);
            if to.from.is_some() && sent.as_ref().is_err_and(is_refused) {
                let elsewhere = Endpoint { from: None, ..to };
                sent = self.send_one(elsewhere, datagram, None, stop);
                if sent.is_ok() {
                    lost = to.from;
                    to = elsewhere;
                }
            }
            if let Err(error) = sent {
                halted |= halts_segmentation(&error);
                count_drop(drops, &error, 1);
            }
        }
        if halted || lost.is_some() {
            self.renew_if_halted();
        }
        lost
    }

    /// It was the address or the destination that was refused, and not segmentation.
    fn renew_if_halted(&self) {
        if self.state.load().max_gso_segments() <= 1 {
            self.renew();
        }
    }

    /// Sends one datagram or one run; waits while the socket's buffer is full.
    fn send_one(&self, to: Endpoint, bytes: &[u8], segment: Option<usize>, stop: &Signal) -> io::Result<()> {
        let transmit =
            Transmit { destination: to.to, ecn: None, contents: bytes, segment_size: segment, src_ip: to.from };
        loop {
            match self.state.load().try_send(UdpSockRef::from(&self.socket), &transmit) {
                Err(error) if super::would_block(&error) => {
                    let fds = [(self.as_fd(), PollFlags::POLLOUT), (stop.as_fd(), PollFlags::POLLIN)];
                    if wait(fds, Some(SEND_WAIT))[1] {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }
}

/// The state of a socket that was prepared before. Made with another: the library sets DF on the one that it is given, and
/// what is longer than the way would be lost until that is taken back.
fn fresh_state(socket: &UdpSocket) -> io::Result<UdpSocketState> {
    let other = Socket::new(Domain::for_address(socket.local_addr()?), Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
    UdpSocketState::new(UdpSockRef::from(&other))
}

/// Prepares a socket for offload. The library has it refuse what is longer than the way; WireGuard lets that be cut
/// (kernel `drivers/net/wireguard/socket.c`: DF clear): an MTU that is too large is slow, and no outage.
fn state_of(socket: &UdpSocket) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    if socket.local_addr()?.is_ipv4() {
        setsockopt(socket, Ipv4PathMtu, &libc::IP_PMTUDISC_DONT)?;
    } else {
        setsockopt(socket, Ipv6PathMtu, &libc::IPV6_PMTUDISC_DONT)?;
        setsockopt(socket, sockopt::Ipv6DontFrag, &false)?;
    }
    Ok(state)
}

sockopt_impl!(Ipv4PathMtu, SetOnly, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::c_int);
sockopt_impl!(Ipv6PathMtu, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::c_int);

impl AsFd for UdpEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether the kernel refused the message as such, and another form of it may do.
fn is_refused(error: &io::Error) -> bool {
    let refused = [Errno::EMSGSIZE, Errno::EIO, Errno::EINVAL, Errno::EADDRNOTAVAIL, Errno::ENETUNREACH];
    refused.map(|errno| Some(errno as i32)).contains(&error.raw_os_error())
}

/// Whether the library took the error for a refusal of segmentation.
fn halts_segmentation(error: &io::Error) -> bool {
    [Errno::EIO, Errno::EINVAL].map(|errno| Some(errno as i32)).contains(&error.raw_os_error())
}

fn count_drop(drops: &LiveDrops, error: &io::Error, datagrams: usize) {
    let counter = if quinn_udp::is_msg_size_err(error) { &drops.too_long_for_way } else { &drops.send_failed };
    counter.add(datagrams as u64);
    tracing::trace!(%error, datagrams, "not sent");
}

fn lacks_ipv6(error: &io::Error) -> bool {
    let lacking = [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL].map(|errno| Some(errno as i32));
    lacking.contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets of this machine, and a batch of four equal datagrams on its way.
    fn sending(to: Endpoint) -> (Sockets, usize, usize, Vec<IpAddr>) {
        let sockets = Sockets::bind(0, None, 1).expect("a free port");
        let segments = || sockets.lanes[0].v4.state.load().max_gso_segments();
        let before = segments();
        let mut batch = DatagramBatch::default();
        (0..4).for_each(|mark| batch.push(to, &[mark; 100]));
        let (stop, lost) = (Signal::new().expect("an eventfd"), Mutex::default());
        sockets.send(0, &batch, false, &LiveDrops::default(), &stop, |source| Vec::push(&mut lost.lock(), source));
        let after = segments();
        (sockets, before, after, lost.into_inner())
    }

    #[test]
    fn an_address_that_is_not_ours_or_nobodys_port_does_not_end_segmentation() {
        let heard = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let to = heard.local_addr().expect("a bound socket");
        let foreign: IpAddr = "192.0.2.77".parse().expect("an address");
        let (_, before, after, lost) = sending(Endpoint { to, from: Some(foreign) });
        assert!(before > 1, "this kernel segments");
        assert_eq!((after, lost), (before, vec![foreign]));
        for mark in 0..4 {
            let mut bytes = [0; 200];
            assert_eq!(heard.recv(&mut bytes).expect("all have arrived"), 100);
            assert_eq!(bytes[0], mark);
        }
        let nobody = SocketAddr::new(to.ip(), 0);
        for from in [None, Some(to.ip())] {
            let (_, before, after, lost) = sending(Endpoint { to: nobody, from });
            assert_eq!((after, lost), (before, vec![]));
        }
    }

    #[test]
    fn what_more_could_join_waits_where_more_is_to_come() {
        let heard = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let sockets = Sockets::bind(0, None, 1).expect("a free port");
        let segments = sockets.lanes[0].v4.segments();
        assert!(segments > 1, "this kernel segments");
        let stop = Signal::new().expect("an eventfd");
        let mut batch = DatagramBatch::default();
        let to = Endpoint::from(heard.local_addr().expect("a bound socket"));
        (0..segments + 3).for_each(|_| batch.push(to, &[7; 100]));
        let send = |more| sockets.send(0, &batch, more, &LiveDrops::default(), &stop, |_| {});
        assert_eq!(send(true), segments);
        assert_eq!(send(false), segments + 3);
    }

    #[test]
    fn segmentation_that_was_refused_is_tried_again_a_minute_later() {
        let sockets = Sockets::bind(0, None, 1).expect("a free port");
        let end = &sockets.lanes[0].v4;
        let (nobody, stop) = (SocketAddr::from(([127, 0, 0, 1], 0)), Signal::new().expect("an eventfd"));
        end.send_one(nobody.into(), &[0; 10], None, &stop).expect_err("port 0 is refused");
        assert_eq!(end.segments(), 1, "for a while");
        *end.renewed.lock() -= SEGMENTATION_RETRY;
        assert!(end.segments() > 1);
    }
}
