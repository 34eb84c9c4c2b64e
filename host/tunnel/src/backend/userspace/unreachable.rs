//! The route behind the interface's own: "unreachable".
//!
//! With `ignore_routes_with_linkdown` the kernel overlooks the routes of an interface without carrier, such as one that a
//! tunnel left, and what is for the mesh would take the default route, in clear. There is such a route only there.

use std::fs;
use std::io;

use nix::errno::Errno;
use rtnetlink::packet_core::NLM_F_CREATE;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use servos_mesh::MeshAddress;

use super::netlink;

/// Behind every other route to the mesh.
const METRIC: u32 = u32::MAX;

/// Adds it where the kernel overlooks the routes of `interface` when it has no carrier, and removes it elsewhere.
///
/// # Errors
///
/// What the kernel says.
pub(super) fn set(interface: &str) -> io::Result<()> {
    if !["all", interface].into_iter().any(is_overlooked) {
        return remove();
    }
    match netlink::ask(RouteNetlinkMessage::NewRoute(route()), NLM_F_CREATE) {
        Err(error) if error.raw_os_error() != Some(Errno::EEXIST as i32) => Err(error),
        _ => Ok(()),
    }
}

/// Removes it, if it is there.
///
/// # Errors
///
/// What the kernel says.
pub(super) fn remove() -> io::Result<()> {
    match netlink::ask(RouteNetlinkMessage::DelRoute(route()), 0) {
        Err(error) if error.raw_os_error() != Some(Errno::ESRCH as i32) => Err(error),
        _ => Ok(()),
    }
}

/// Whether the setting is on; it counts for an interface if it is on for that one or for all.
fn is_overlooked(interface: &str) -> bool {
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/ignore_routes_with_linkdown");
    fs::read_to_string(path).is_ok_and(|on| on.trim() != "0")
}

fn route() -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header = RouteHeader {
        address_family: AddressFamily::Inet,
        destination_prefix_length: MeshAddress::PREFIX_LENGTH,
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Static,
        scope: RouteScope::Universe,
        kind: RouteType::Unreachable,
        ..RouteHeader::default()
    };
    let network = RouteAddress::Inet(MeshAddress::FIRST.ipv4());
    route.attributes = vec![RouteAttribute::Destination(network), RouteAttribute::Priority(METRIC)];
    route
}
