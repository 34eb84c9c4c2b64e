//! One queue of a TUN device: packets out of it and into it, with the header that offload needs where it has one.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::UdpSocket;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::unistd::geteuid;
use tun_rs::SyncDevice;

use crate::offload::{Joinable, VirtioHeader};

// Requests of `linux/if_tun.h` and `linux/sockios.h`.
nix::ioctl_read_bad!(tun_get_interface, libc::TUNGETIFF, libc::ifreq);
nix::ioctl_write_int_bad!(tun_set_offload, libc::TUNSETOFFLOAD);
nix::ioctl_write_int_bad!(tun_set_owner, libc::TUNSETOWNER);
nix::ioctl_write_int_bad!(tun_set_persistent, libc::TUNSETPERSIST);
nix::ioctl_write_ptr_bad!(tun_set_header_size, libc::TUNSETVNETHDRSZ, libc::c_int);
nix::ioctl_read_bad!(get_mtu, libc::SIOCGIFMTU, libc::ifreq);

/// See the module. Never waits.
#[derive(Clone)]
pub(super) struct Queue {
    file: Arc<File>,
    framing: Framing,
}

/// What stands before each packet.
#[derive(Clone, Copy)]
enum Framing {
    /// Nothing: what is whole was made so by the kernel.
    Plain,
    /// A [`VirtioHeader`]; `udp`: the device takes joined UDP datagrams, too (Linux 6.2).
    Virtio { udp: bool },
}

impl Queue {
    /// A queue of a device that was made with offload.
    pub(super) fn of(device: &SyncDevice) -> io::Result<Self> {
        device.set_nonblocking(true)?;
        // SAFETY: the descriptor is the device's own and open while it is borrowed.
        let own = unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) }.try_clone_to_owned()?;
        Ok(Self { file: Arc::new(own.into()), framing: Framing::Virtio { udp: device.udp_gso() } })
    }

    /// Takes over a queue that somebody else opened; the interface's name comes with it.
    pub(super) fn adopt(fd: RawFd) -> io::Result<(String, Self)> {
        // SAFETY: whoever names a descriptor in the environment gives it to us, and it is taken once. One that is not open
        // is refused by the first call below, before anything else could have got its number.
        let own = unsafe { OwnedFd::from_raw_fd(fd) };
        let request = interface_of(&own)?;
        let name = name_in(&request);
        // SAFETY: TUNGETIFF answers with flags.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        if flags & libc::IFF_TUN == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a TAP device"));
        }
        fcntl(&own, FcntlArg::F_SETFL(OFlag::from_bits_retain(fcntl(&own, FcntlArg::F_GETFL)?) | OFlag::O_NONBLOCK))?;
        fcntl(&own, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let framing = if flags & libc::IFF_VNET_HDR == 0 {
            Framing::Plain
        } else {
            // Whoever opened it may have chosen another: 12, as for a network card of a virtual machine.
            let length = VirtioHeader::LENGTH as libc::c_int;
            // SAFETY: the kernel reads the number that it is pointed at.
            unsafe { tun_set_header_size(own.as_raw_fd(), &length) }?;
            let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
            let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
            // SAFETY: the argument is a number.
            let offload = |flags: libc::c_uint| unsafe { tun_set_offload(own.as_raw_fd(), flags as libc::c_int) };
            offload(tcp)?;
            Framing::Virtio { udp: offload(tcp | udp).is_ok() }
        };
        Ok((name, Self { file: Arc::new(own.into()), framing }))
    }

    /// The interface's name, which may have changed.
    pub(super) fn interface(&self) -> io::Result<String> {
        Ok(name_in(&interface_of(&*self.file)?))
    }

    /// Nobody but this user, and whoever may configure networks, can take hold of the interface: one without owner is
    /// anybody's while nobody holds it, and one with several queues always.
    pub(super) fn own(&self) -> io::Result<()> {
        // SAFETY: the argument is a number.
        unsafe { tun_set_owner(self.file.as_raw_fd(), geteuid().as_raw() as libc::c_int) }?;
        Ok(())
    }

    /// Whether the interface stays when its last queue is closed.
    pub(super) fn set_stays(&self, stays: bool) -> io::Result<()> {
        // SAFETY: the argument is a number.
        unsafe { tun_set_persistent(self.file.as_raw_fd(), stays.into()) }?;
        Ok(())
    }

    /// The interface's MTU, bytes, if it is in this namespace.
    pub(super) fn mtu(&self) -> io::Result<u16> {
        // Asked each time: it may have been renamed.
        mtu_by(interface_of(&*self.file)?)
    }

    /// What may be joined before it is written.
    pub(super) fn joinable(&self) -> Joinable {
        match self.framing {
            Framing::Plain => Joinable::Nothing,
            Framing::Virtio { udp: false } => Joinable::Tcp,
            Framing::Virtio { udp: true } => Joinable::TcpAndUdp,
        }
    }

    /// Reads one packet, whole or to be segmented, into `room`; what is to be done with it, and where it lies.
    pub(super) fn read(&self, room: &mut [u8]) -> io::Result<(VirtioHeader, Range<usize>)> {
        let length = (&*self.file).read(room)?;
        match self.framing {
            Framing::Plain => Ok((VirtioHeader::default(), 0..length)),
            // A device with headers gives none without.
            Framing::Virtio { .. } => match room[..length].first_chunk() {
                Some(header) => Ok((VirtioHeader::read(header), VirtioHeader::LENGTH..length)),
                None => Ok((VirtioHeader::default(), 0..0)),
            },
        }
    }

    /// Writes one packet in parts: its [`VirtioHeader`] first, which stays here where the device has none.
    pub(super) fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let parts = match self.framing {
            Framing::Plain => parts.get(1..).unwrap_or_default(),
            Framing::Virtio { .. } => parts,
        };
        (&*self.file).write_vectored(parts)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// MTU of an interface, bytes.
pub(super) fn mtu_of(interface: &str) -> io::Result<u16> {
    let mut request = no_request();
    // The rest stays zero, which ends it.
    for (place, byte) in request.ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(interface.bytes()) {
        *place = byte as libc::c_char;
    }
    mtu_by(request)
}

/// MTU of the interface that is named.
fn mtu_by(mut request: libc::ifreq) -> io::Result<u16> {
    // Any socket will do to ask.
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    // SAFETY: the name ends within the structure, which the kernel fills in.
    unsafe { get_mtu(socket.as_raw_fd(), &mut request) }?;
    // SAFETY: SIOCGIFMTU answers with the MTU.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u16::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// What the kernel says of the interface of a queue: its name, and flags.
fn interface_of(queue: &impl AsRawFd) -> io::Result<libc::ifreq> {
    let mut request = no_request();
    // SAFETY: the kernel fills in the structure that it is given.
    unsafe { tun_get_interface(queue.as_raw_fd(), &mut request) }?;
    Ok(request)
}

fn no_request() -> libc::ifreq {
    libc::ifreq { ifr_name: [0; libc::IFNAMSIZ], ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_mtu: 0 } }
}

fn name_in(request: &libc::ifreq) -> String {
    let bytes = request.ifr_name.map(|byte| byte as u8);
    CStr::from_bytes_until_nul(&bytes).unwrap_or_default().to_string_lossy().into_owned()
}
