//! What tunnels left when they ended: TUN devices that nobody holds, with an address of the mesh.
//!
//! Such an interface keeps the mesh's route, so that nothing for the mesh leaves by the default route, in clear, while
//! there is no tunnel; where the kernel overlooks that route, another stands behind it (`unreachable.rs`). The next one takes
//! it over.

use std::collections::BTreeMap;
use std::io;

use ipnet::Ipv4Net;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use servos_mesh::MeshAddress;
use tun_rs::DeviceBuilder;

use super::netlink;
use super::queue::Queue;

/// What has the name that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Present {
    Nothing,
    /// What a tunnel left; with its address of the mesh, if it is up and has no other of a mesh.
    Left(Option<MeshAddress>),
    /// Somebody holds it, or it is none of ours.
    Others,
}

/// What is there under the name `interface`.
pub(super) fn present(interface: &str) -> io::Result<Present> {
    Ok(links()?.get(interface).map_or(Present::Nothing, Link::judge))
}

/// Removes what tunnels left under other names than `interface`: each has the route of the whole mesh. Says which.
pub(super) fn remove_others(interface: &str) -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for (name, link) in links()? {
        if name != interface && link.is_left() && remove(&name).is_ok() {
            removed.push(name);
        }
    }
    Ok(removed)
}

/// Removes the interface.
///
/// # Errors
///
/// What the kernel says: `EBUSY` where somebody holds it, `EINVAL` for what is no TUN device. It stays as it is then.
pub(super) fn remove(interface: &str) -> io::Result<()> {
    let hold = |several| {
        DeviceBuilder::new().name(interface).offload(true).multi_queue(several).inherit_enable_state().build_sync()
    };
    // One that was made with several queues can be held as such alone.
    let held = hold(false).or_else(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EINVAL) => hold(true),
        _ => Err(error),
    })?;
    // It goes with the last that holds it.
    Queue::of(&held)?.set_stays(false)?;
    drop(held);
    if if_nametoindex(interface).is_ok() { Err(Errno::EBUSY.into()) } else { Ok(()) }
}

/// What is known of an interface.
#[derive(Default)]
struct Link {
    is_up: bool,
    /// Whether somebody sends and receives by it: a TUN device that nobody holds has no carrier.
    is_held: bool,
    addresses: Vec<Ipv4Net>,
}

impl Link {
    fn judge(&self) -> Present {
        if !self.is_left() {
            return Present::Others;
        }
        let mut of_mesh = self.of_mesh();
        let only = of_mesh.next().filter(|_| self.is_up && of_mesh.next().is_none());
        Present::Left(only)
    }

    /// Others may have given it more addresses.
    fn is_left(&self) -> bool {
        !self.is_held && self.of_mesh().next().is_some()
    }

    /// Its addresses with the prefix of a whole mesh, which nobody else gives an interface.
    fn of_mesh(&self) -> impl Iterator<Item = MeshAddress> {
        let whole = self.addresses.iter().filter(|network| network.prefix_len() == MeshAddress::PREFIX_LENGTH);
        whole.filter_map(|network| network.addr().try_into().ok())
    }
}

/// The interfaces of this namespace, by name.
fn links() -> io::Result<BTreeMap<String, Link>> {
    let mut links = BTreeMap::<String, Link>::new();
    for entry in getifaddrs()? {
        let link = links.entry(entry.interface_name).or_default();
        link.is_up = entry.flags.contains(InterfaceFlags::IFF_UP);
        link.is_held = entry.flags.contains(InterfaceFlags::IFF_LOWER_UP);
        let address = entry.address.as_ref().and_then(|address| address.as_sockaddr_in());
        let mask = entry.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in());
        if let Some((address, mask)) = address.zip(mask) {
            link.addresses.extend(Ipv4Net::with_netmask(address.ip(), mask.ip()));
        }
    }
    for (name, link) in &mut links {
        // Its flags say so of one that is up alone; of what is no tunnel's it is not asked.
        if link.is_left() {
            link.is_held = has_carrier(name).unwrap_or_else(|error| {
                tracing::debug!(interface = name, %error, "it is not known whether somebody holds it");
                false
            });
        }
    }
    Ok(links)
}

/// Whether somebody holds the TUN device, be it up or not.
fn has_carrier(interface: &str) -> io::Result<bool> {
    let mut link = LinkMessage::default();
    link.header.index = if_nametoindex(interface)?;
    let Some(RouteNetlinkMessage::NewLink(link)) = netlink::ask(RouteNetlinkMessage::GetLink(link), 0)? else {
        return Ok(true);
    };
    let carrier = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Carrier(carrier) => Some(*carrier != 0),
        _ => None,
    });
    Ok(carrier.unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(is_held: bool, addresses: &[&str]) -> Link {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        Link { is_up: true, is_held, addresses }
    }

    #[test]
    fn what_is_left_has_the_prefix_of_a_mesh_and_nobody_who_holds_it() {
        let left = |address: &str| Present::Left(Some(address.parse().expect("an address")));
        for (is_held, addresses, present) in [
            (false, &["100.64.0.1/10"][..], left("100.64.0.1")),
            (false, &["100.64.0.1/10", "100.64.0.2/10"], Present::Left(None)),
            (false, &["100.64.0.1/10", "192.0.2.1/24", "100.64.9.9/32"], left("100.64.0.1")),
            (false, &[], Present::Others),
            (true, &["100.64.0.1/10"], Present::Others),
            // Tailscale and NetBird have others of these addresses.
            (false, &["100.64.0.1/32"], Present::Others),
            (false, &["100.64.0.1/16"], Present::Others),
            (false, &["100.128.0.1/10"], Present::Others),
        ] {
            assert_eq!(link(is_held, addresses).judge(), present, "{is_held} {addresses:?}");
        }
        let down = Link { is_up: false, ..link(false, &["100.64.0.1/10"]) };
        assert_eq!(down.judge(), Present::Left(None), "its routes are gone");
    }
}
