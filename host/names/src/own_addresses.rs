//! The addresses of this host, read from the kernel at most every few seconds.

use std::net::Ipv4Addr;
use std::time::Instant;

use nix::ifaddrs::getifaddrs;
use parking_lot::Mutex;

use crate::limits::OWN_ADDRESSES_AGE;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses {
    known: Mutex<Option<(Instant, Vec<Ipv4Addr>)>>,
}

impl OwnAddresses {
    pub(crate) fn contains(&self, address: Ipv4Addr) -> bool {
        let mut known = self.known.lock();
        match &*known {
            Some((read, addresses)) if read.elapsed() < OWN_ADDRESSES_AGE => addresses.contains(&address),
            _ => {
                let addresses = read();
                let contains = addresses.contains(&address);
                *known = Some((Instant::now(), addresses));
                contains
            }
        }
    }
}

/// None at all if the kernel does not tell: then only loopback and the mesh address count as this host.
fn read() -> Vec<Ipv4Addr> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    interfaces.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip())).collect()
}
