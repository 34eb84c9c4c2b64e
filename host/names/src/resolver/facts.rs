//! How the host's resolver settings are.

use std::net::{IpAddr, SocketAddr};

/// All that a plan depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `resolv.conf`.
    pub file: OnDisk,
    /// The part of the host's name behind its first dot: libc's search list where `resolv.conf` has none.
    pub host_domain: Option<String>,
    /// None: it is not on D-Bus.
    pub resolved: Option<ResolvedFacts>,
    /// Whether our DNS server answers.
    pub listening: Listening,
}

/// `resolv.conf`, and what stands beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDisk {
    /// What is in place.
    pub present: Present,
    /// The file that was there before ours; read through its link, if it is one.
    pub backup: Option<String>,
    /// Whether something half-done lies about.
    pub leftovers: bool,
}

/// What stands at the place of `resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Present {
    /// Nothing.
    #[default]
    Absent,
    /// A file that we wrote.
    Ours(String),
    /// Anybody else's; empty for a link to nowhere.
    Theirs(String),
}

/// Where our DNS server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// On its loopback address.
    pub loopback: bool,
    /// On the mesh address.
    pub mesh: bool,
}

/// What systemd-resolved knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedFacts {
    /// The mesh's interface; none if it is not there.
    pub link: Option<LinkFacts>,
    /// The name servers of all other interfaces, and the global ones.
    pub servers: Vec<SocketAddr>,
}

/// What systemd-resolved knows of the mesh's interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFacts {
    /// The interface's number.
    pub index: i32,
    /// Its name servers.
    pub servers: Vec<IpAddr>,
    /// Its domains, each with whether it only routes and is not searched; sorted.
    pub domains: Vec<(String, bool)>,
    /// Whether names of no particular domain are asked for here.
    pub default_route: bool,
    /// `yes`, `no` or `resolve`.
    pub llmnr: String,
    /// `yes`, `no` or `resolve`.
    pub multicast_dns: String,
    /// `yes`, `no` or `allow-downgrade`.
    pub dnssec: String,
    /// `yes`, `no` or `opportunistic`.
    pub dns_over_tls: String,
}

/// See [`Facts::host_domain`].
pub(crate) fn host_domain() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let (_, domain) = name.split_once('.')?;
    (!domain.is_empty()).then(|| domain.to_owned())
}
