//! Whether this server's Traefik listens and reads our file: on each entry point it is asked for a host that only our
//! file knows. Another web server on the port is so told from it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use servos_mesh::{MeshAddress, Proxy};

use crate::dynamic_file::{PROXY_HOST, PROXY_LOCATION};
use crate::limits::PROXY_TIMEOUT;
use crate::probe::redirect_of;

/// Looks once. None if no entry point answers.
pub(crate) async fn look(own: MeshAddress, entry_points: &BTreeMap<String, u16>) -> Option<Proxy> {
    let mut ports = Vec::new();
    for &port in entry_points.values() {
        let asked = redirect_of(SocketAddr::from((own.ipv4(), port)), PROXY_HOST);
        let location = tokio::time::timeout(PROXY_TIMEOUT, asked).await.ok().flatten();
        if location.as_deref() == Some(PROXY_LOCATION) {
            ports.push(port);
        }
    }
    ports.sort_unstable();
    (!ports.is_empty()).then_some(Proxy { address: own, ports })
}
