//! The MTU that the tunnel should have: that of the way to a destination, less what the outer headers take.
//!
//! The kernel is asked anew whenever it says that a link, an address or a route has changed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteMetric};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder, new_multicast_connection};
use tokio::sync::watch;

use crate::limits::{DEFAULT_MTU, MAX_LEARNT_MTU, MIN_MTU, OUTER_OVERHEAD};

/// What is listened to: everything that can change the way to somewhere.
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// Follows the tunnel's MTU for the way to `destination`, bytes. The task behind it ends with the last receiver.
///
/// Without a route the value stays as it was; 1,420 at first.
///
/// # Errors
///
/// [`MtuError`] if the kernel cannot be listened to.
pub async fn watch(destination: IpAddr) -> Result<watch::Receiver<u16>, MtuError> {
    let (connection, handle, mut messages) = new_multicast_connection(&GROUPS).map_err(MtuError::Listen)?;
    let connection = tokio::spawn(connection);
    let first = tunnel_mtu(&handle, destination).await.unwrap_or(DEFAULT_MTU);
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => break,
                message = messages.next() => if message.is_none() { break },
            }
            // One look for all that came together.
            while messages.next().now_or_never().flatten().is_some() {}
            if let Some(mtu) = tunnel_mtu(&handle, destination).await {
                let changed = sender.send_if_modified(|value| std::mem::replace(value, mtu) != mtu);
                if changed {
                    tracing::info!(%destination, mtu, "the way has another MTU");
                }
            }
        }
        connection.abort();
    });
    Ok(receiver)
}

/// The tunnel's MTU over a way of `way` bytes: [`OUTER_OVERHEAD`] less, within sane bounds.
pub fn over(way: u32) -> u16 {
    let inner = way.saturating_sub(OUTER_OVERHEAD.into()).clamp(MIN_MTU.into(), MAX_LEARNT_MTU.into());
    u16::try_from(inner).unwrap_or(MAX_LEARNT_MTU)
}

/// `None` without a route, or while the kernel does not answer.
async fn tunnel_mtu(handle: &Handle, destination: IpAddr) -> Option<u16> {
    let route = match destination {
        IpAddr::V4(ip) => RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(ip, 32).build(),
        IpAddr::V6(ip) => RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(ip, 128).build(),
    };
    let route = Box::pin(handle.route().get(route).execute()).try_next().await.ok()??;
    let link = link_mtu(handle, egress(&route)?).await?;
    Some(over(route_mtu(&route).map_or(link, |route| route.min(link))))
}

fn egress(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

/// The MTU that the route itself has, if somebody set one.
fn route_mtu(route: &RouteMessage) -> Option<u32> {
    let metrics = route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    });
    metrics.flatten().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
        _ => None,
    })
}

async fn link_mtu(handle: &Handle, index: u32) -> Option<u32> {
    let link = Box::pin(handle.link().get().match_index(index).execute()).try_next().await.ok()??;
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}

/// Why the MTU cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum MtuError {
    /// No netlink socket for notifications.
    #[error("cannot listen to the kernel's notifications of links and routes: set `mtu` in the settings")]
    Listen(#[source] io::Error),
}
