//! Makes the interface: a TUN device with segmentation offload, its address, its MTU, up.

use std::io;
use std::os::fd::RawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use servos_mesh::MeshAddress;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::TunnelError;
use crate::limits::DEFAULT_MTU;

/// Bytes of an interface's name, `IFNAMSIZ` less its end.
const MAX_NAME: usize = 15;

const TUN_NODE: &str = "/dev/net/tun";

/// Makes the interface `name` with `address`/10.
pub(super) fn create(name: &str, address: MeshAddress, mtu: u16) -> Result<SyncDevice, TunnelError> {
    check_name(name)?;
    if if_nametoindex(name).is_ok() {
        return Err(TunnelError::InterfaceInUse { interface: name.to_owned() });
    }
    // The library would make the node itself, and fail where the kernel has no such device.
    if !Path::new(TUN_NODE).exists() {
        return Err(TunnelError::NoTun);
    }
    let built = DeviceBuilder::new()
        .name(name)
        .offload(true)
        .mtu(mtu)
        .ipv4(address.ipv4(), MeshAddress::PREFIX_LENGTH, None)
        .enable(true)
        .build_sync();
    let device = built.map_err(|source| explain(name, source))?;
    device.set_nonblocking(true).map_err(|source| explain(name, source))?;
    Ok(device)
}

/// What an interface without address is made of.
#[derive(Clone, Debug)]
pub enum InterfaceSource {
    /// A new one of this name.
    Name(String),
    /// The TUN device that was opened by whoever started us (`WG_TUN_FD`).
    Descriptor(RawFd),
}

impl InterfaceSource {
    /// The name that was asked for.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Descriptor(_) => "tun",
        }
    }
}

/// Makes an interface without address, down, for others to configure.
pub(super) fn bare(source: &InterfaceSource) -> Result<SyncDevice, TunnelError> {
    let name = source.name();
    let device = match source {
        InterfaceSource::Name(name) => {
            check_name(name)?;
            if if_nametoindex(name.as_str()).is_ok() {
                return Err(TunnelError::InterfaceInUse { interface: name.clone() });
            }
            if !Path::new(TUN_NODE).exists() {
                return Err(TunnelError::NoTun);
            }
            DeviceBuilder::new().name(name).offload(true).mtu(DEFAULT_MTU).enable(false).build_sync()
        }
        // SAFETY: whoever names a descriptor in the environment gives it to us.
        InterfaceSource::Descriptor(fd) => unsafe { SyncDevice::from_fd(*fd) },
    };
    let device = device.map_err(|source| explain(name, source))?;
    device.set_nonblocking(true).map_err(|source| explain(name, source))?;
    Ok(device)
}

fn check_name(name: &str) -> Result<(), TunnelError> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"/:%".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(TunnelError::InterfaceName { interface: name.to_owned() });
    }
    Ok(())
}

fn explain(name: &str, source: io::Error) -> TunnelError {
    let interface = name.to_owned();
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => TunnelError::NotPermitted { interface },
        Some(Errno::EBUSY | Errno::EEXIST) => TunnelError::InterfaceInUse { interface },
        Some(Errno::ENODEV | Errno::ENXIO | Errno::ENOENT) => TunnelError::NoTun,
        _ => TunnelError::Interface { interface, source },
    }
}
