//! The interface: a TUN device, one queue for each lane, made here or opened by whoever started us.

use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use servos_mesh::MeshAddress;
use tun_rs::{DeviceBuilder, SyncDevice};

use super::left::{self, Present};
use super::queue::Queue;
use super::{segments, unreachable};
use crate::TunnelError;
use crate::limits::DEFAULT_MTU;

/// Bytes of an interface's name, `IFNAMSIZ` less its end.
const MAX_NAME: usize = 15;

const TUN_NODE: &str = "/dev/net/tun";

/// What an interface without address is made of.
#[derive(Clone, Debug)]
pub enum InterfaceSource {
    /// A new one of this name.
    Name(String),
    /// The TUN device that was opened by whoever started us (`WG_TUN_FD`), with `IFF_NO_PI`, with or without
    /// `IFF_VNET_HDR`.
    Descriptor(RawFd),
}

/// An interface and its queues. Gone when dropped, if it was made here and does not stay.
pub(super) struct Interface {
    name: String,
    queues: Vec<Queue>,
    /// None for one that somebody else opened.
    device: Option<SyncDevice>,
    /// Whether the kernel was told how many segments to leave together.
    is_limited: Arc<AtomicBool>,
}

impl Interface {
    /// Makes the interface `name`, up, with `address`/10, or takes over the one that a tunnel left: with the routes that
    /// go by it, and whatever others hung on it.
    pub(super) fn create(name: &str, address: MeshAddress, mtu: u16, lanes: usize) -> Result<Self, TunnelError> {
        check_name(name)?;
        let present = left::present(name).map_err(|source| explain(name, source))?;
        if present == Present::Left(Some(address)) {
            match builder(name, lanes).and_then(|builder| Self::build(name, mtu, builder.enable(true), lanes)) {
                Ok(taken_over) => {
                    tracing::info!(interface = name, "took over the interface that a tunnel left");
                    return Ok(taken_over);
                }
                // Made with one queue and wanted with several, or the other way round.
                Err(error) if error.errno() == Some(Errno::EINVAL) => {
                    tracing::info!(interface = name, "made anew: what a tunnel left has another number of queues");
                }
                // It stays, with what hangs on it, for when it is tried again.
                Err(error) => return Err(error),
            }
        }
        match present {
            Present::Nothing => {}
            Present::Left(_) if left::remove(name).is_ok() => {}
            Present::Left(_) | Present::Others => {
                return Err(TunnelError::InterfaceInUse { interface: name.to_owned() });
            }
        }
        let builder = builder(name, lanes)?.ipv4(address.ipv4(), MeshAddress::PREFIX_LENGTH, None).enable(true);
        Self::build(name, mtu, builder, lanes)
    }

    /// Makes an interface without address, down, for others to configure; one that was opened by others has one lane.
    pub(super) fn bare(source: &InterfaceSource, lanes: usize) -> Result<Self, TunnelError> {
        match source {
            InterfaceSource::Name(name) => {
                check_name(name)?;
                if if_nametoindex(name.as_str()).is_ok() {
                    return Err(TunnelError::InterfaceInUse { interface: name.to_owned() });
                }
                Self::build(name, DEFAULT_MTU, builder(name, lanes)?.enable(false), lanes)
            }
            InterfaceSource::Descriptor(fd) => {
                let adopted = Queue::adopt(*fd);
                let (name, queue) = adopted.map_err(|source| TunnelError::Descriptor { fd: *fd, source })?;
                Ok(Self { name, queues: vec![queue], device: None, is_limited: Arc::default() })
            }
        }
    }

    fn build(name: &str, mtu: u16, builder: DeviceBuilder, lanes: usize) -> Result<Self, TunnelError> {
        let explained = |source| explain(name, source);
        let device = builder.mtu(mtu).build_sync().map_err(explained)?;
        let mut queues = vec![Queue::of(&device).map_err(explained)?];
        // Before it has a second queue, or stays.
        queues[0].own().map_err(explained)?;
        while queues.len() < lanes {
            queues.push(device.try_clone().and_then(|queue| Queue::of(&queue)).map_err(explained)?);
        }
        let interface = Self { name: name.to_owned(), queues, device: Some(device), is_limited: Arc::default() };
        interface.limit_segments(mtu);
        Ok(interface)
    }

    fn limit_segments(&self, mtu: u16) {
        match segments::limit(&self.name, mtu) {
            Ok(is_limited) => self.is_limited.store(is_limited, Relaxed),
            Err(error) => tracing::debug!(%error, "the kernel leaves as many segments together as it likes"),
        }
    }

    /// Whether the kernel was told how many segments to leave together.
    pub(super) fn is_limited(&self) -> &Arc<AtomicBool> {
        &self.is_limited
    }

    /// The name that it was made with.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its queues, one a lane.
    pub(super) fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// Whether it stays when it is dropped, or when the process ends, however it ends.
    pub(super) fn set_stays(&self, stays: bool) -> io::Result<()> {
        self.queues.first().map_or(Ok(()), |queue| queue.set_stays(stays))?;
        let behind = if stays { unreachable::set(&self.name) } else { unreachable::remove() };
        behind
            .unwrap_or_else(|error| tracing::warn!(%error, "the route behind the interface's is not as it should be"));
        Ok(())
    }

    pub(super) fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        match &self.device {
            Some(device) => {
                device.set_mtu(mtu)?;
                self.limit_segments(mtu);
                Ok(())
            }
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// What is the same for all that are made here.
fn builder(name: &str, lanes: usize) -> Result<DeviceBuilder, TunnelError> {
    // The library would make the node itself, and fail where the kernel has no such device.
    if !Path::new(TUN_NODE).exists() {
        return Err(TunnelError::NoTun);
    }
    Ok(DeviceBuilder::new().name(name).offload(true).multi_queue(lanes > 1))
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
