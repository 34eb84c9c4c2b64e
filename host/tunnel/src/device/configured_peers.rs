//! Peers that `wg set` configured, with any allowed IPs: a table by key, and a tree of prefixes for each family.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use servos_mesh::PublicKey;
use zeroize::Zeroizing;

use super::changes::PeerChange;
use super::peer::{Peer, PeerId};
use crate::noise::PresharedKey;

/// A peer as it was configured.
#[derive(Clone)]
pub struct ConfiguredPeer {
    /// Zeros where there is none.
    pub preshared: Zeroizing<PresharedKey>,
    /// Where it is reached before it was heard from.
    pub endpoint: Option<SocketAddr>,
    /// An empty message goes out when nothing else did for so long.
    pub keepalive: Option<Duration>,
    /// What it may send from, and is sent to.
    pub allowed_ips: BTreeSet<IpNet>,
    pub(super) id: PeerId,
}

/// See the module.
#[derive(Default)]
pub(super) struct ConfiguredPeers {
    by_key: HashMap<PublicKey, ConfiguredPeer>,
    keys: HashMap<PeerId, PublicKey>,
    ipv4: PrefixMap<Ipv4Net, PeerId>,
    ipv6: PrefixMap<Ipv6Net, PeerId>,
    next_id: u32,
}

impl ConfiguredPeers {
    /// The peer with the longest prefix of an address.
    pub(super) fn route(&self, ip: IpAddr) -> Option<PeerId> {
        match ip {
            IpAddr::V4(ip) => self.ipv4.get_lpm(&Ipv4Net::from(ip)).map(|(_, id)| *id),
            IpAddr::V6(ip) => self.ipv6.get_lpm(&Ipv6Net::from(ip)).map(|(_, id)| *id),
        }
    }

    pub(super) fn peer(&self, id: PeerId) -> Option<Peer> {
        self.by_key(self.keys.get(&id)?)
    }

    pub(super) fn by_key(&self, key: &PublicKey) -> Option<Peer> {
        let peer = self.by_key.get(key)?;
        Some(Peer {
            id: peer.id,
            public_key: *key,
            preshared: peer.preshared.clone(),
            endpoint: peer.endpoint,
            keepalive: peer.keepalive,
        })
    }

    /// All, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&PublicKey, &ConfiguredPeer)> {
        self.by_key.iter()
    }

    /// Takes a peer out; who it was.
    pub(super) fn remove(&mut self, key: &PublicKey) -> Option<PeerId> {
        let peer = self.by_key.remove(key)?;
        self.keys.remove(&peer.id);
        for net in &peer.allowed_ips {
            self.unroute(net, peer.id);
        }
        Some(peer.id)
    }

    /// Makes or changes a peer; who it is. `None` if it is not there and was only to be updated. `anew`: nothing stays of it
    /// but where it is reached.
    pub(super) fn change(&mut self, change: &PeerChange, anew: bool) -> Option<PeerId> {
        let key = &change.public_key;
        if !self.by_key.contains_key(key) {
            if change.update_only {
                return None;
            }
            self.next_id += 1;
            let id = PeerId::configured(self.next_id);
            let (preshared, endpoint, keepalive) = Default::default();
            self.by_key
                .insert(*key, ConfiguredPeer { preshared, endpoint, keepalive, allowed_ips: BTreeSet::new(), id });
            self.keys.insert(id, *key);
        }
        let peer = self.by_key.get_mut(key)?;
        let id = peer.id;
        if anew {
            (peer.preshared, peer.keepalive) = Default::default();
        }
        if let Some(preshared) = &change.preshared {
            peer.preshared = preshared.clone();
        }
        peer.endpoint = change.endpoint.or(peer.endpoint);
        if let Some(keepalive) = change.keepalive {
            peer.keepalive = (!keepalive.is_zero()).then_some(keepalive);
        }
        if anew || change.replace_allowed_ips {
            for net in std::mem::take(&mut peer.allowed_ips) {
                self.unroute(&net, id);
            }
        }
        for (net, remove) in &change.allowed_ips {
            if *remove {
                self.disallow(key, id, net);
            } else {
                self.allow(key, id, *net);
            }
        }
        Some(id)
    }

    /// Gives a prefix to a peer; whoever had it loses it.
    fn allow(&mut self, key: &PublicKey, id: PeerId, net: IpNet) {
        let net = net.trunc();
        let before = match net {
            IpNet::V4(net) => self.ipv4.insert(net, id),
            IpNet::V6(net) => self.ipv6.insert(net, id),
        };
        if let Some(other) = before.filter(|before| *before != id)
            && let Some(peer) = self.keys.get(&other).and_then(|key| self.by_key.get_mut(key))
        {
            peer.allowed_ips.remove(&net);
        }
        if let Some(peer) = self.by_key.get_mut(key) {
            peer.allowed_ips.insert(net);
        }
    }

    fn disallow(&mut self, key: &PublicKey, id: PeerId, net: &IpNet) {
        let net = net.trunc();
        if self.by_key.get_mut(key).is_some_and(|peer| peer.allowed_ips.remove(&net)) {
            self.unroute(&net, id);
        }
    }

    fn unroute(&mut self, net: &IpNet, id: PeerId) {
        match net {
            IpNet::V4(net) if self.ipv4.get(net) == Some(&id) => drop(self.ipv4.remove(net)),
            IpNet::V6(net) if self.ipv6.get(net) == Some(&id) => drop(self.ipv6.remove(net)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    fn change(key: PublicKey, nets: &[&str]) -> PeerChange {
        let allowed_ips = nets.iter().map(|net| (net.parse().expect("a prefix"), false)).collect();
        PeerChange { allowed_ips, ..PeerChange::of(key) }
    }

    fn route(peers: &ConfiguredPeers, ip: &str) -> Option<PublicKey> {
        peers.route(ip.parse().expect("an address")).and_then(|id| Some(peers.peer(id)?.public_key))
    }

    #[test]
    fn the_longest_prefix_wins_and_moves_with_its_last_owner() {
        let [one, two] = [PrivateKey::generate().public_key(), PrivateKey::generate().public_key()];
        let mut peers = ConfiguredPeers::default();
        peers.change(&change(one, &["10.0.0.0/8", "fd00::/8", "0.0.0.0/0"]), false);
        peers.change(&change(two, &["10.1.0.0/16", "fd00:1::7/128"]), false);
        assert_eq!(route(&peers, "10.1.2.3"), Some(two));
        assert_eq!(route(&peers, "10.2.2.3"), Some(one));
        assert_eq!(route(&peers, "192.0.2.1"), Some(one));
        assert_eq!(route(&peers, "fd00:1::7"), Some(two));
        assert_eq!(route(&peers, "fd00:1::8"), Some(one));
        assert_eq!(route(&peers, "2001:db8::1"), None);

        // Bits beyond the prefix count for nothing.
        peers.change(&change(one, &["10.1.9.9/16"]), false);
        assert_eq!(route(&peers, "10.1.2.3"), Some(one));
        assert_eq!(peers.by_key[&two].allowed_ips.len(), 1);

        let mut replace = change(one, &["10.1.0.0/16"]);
        replace.replace_allowed_ips = true;
        peers.change(&replace, false);
        assert_eq!(route(&peers, "10.2.2.3"), None);
        assert_eq!(route(&peers, "10.1.2.3"), Some(one));
        let mut away = change(one, &[]);
        away.allowed_ips = vec![("10.1.0.0/16".parse().expect("a prefix"), true)];
        peers.change(&away, false);
        assert_eq!(route(&peers, "10.1.2.3"), None);

        assert!(peers.remove(&two).is_some() && peers.remove(&two).is_none());
        assert_eq!(route(&peers, "fd00:1::7"), None);
    }

    #[test]
    fn only_updated_means_not_made() {
        let key = PrivateKey::generate().public_key();
        let mut peers = ConfiguredPeers::default();
        let mut update = change(key, &["10.0.0.1/32"]);
        update.update_only = true;
        assert_eq!(peers.change(&update, false), None);
        assert_eq!(peers.all().count(), 0);
    }
}
