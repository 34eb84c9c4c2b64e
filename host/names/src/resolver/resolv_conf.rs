//! What a `resolv.conf` says (resolv.conf(5)), and what ours does. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use servos_mesh::HostName;

use crate::limits::NAME_SERVERS;

/// How each file of ours begins.
const MARK: &str = "# Written by servos-agent";

/// How a line is remembered that was in the former file.
const FORMER: &str = "#| ";

/// Remembers that there was no former file.
const NO_FORMER: &str = "#| (there was no such file)";

/// The parts of a `resolv.conf` that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// As they are written, in order of preference.
    pub nameservers: Vec<String>,
    /// None: libc takes the domain of the host's name.
    pub search: Option<Vec<String>>,
    /// Of all `options` lines.
    pub options: Vec<String>,
    /// `sortlist` lines, whole.
    pub sortlists: Vec<String>,
}

/// What our file is to say beside what the former did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub loopback: Ipv4Addr,
    pub domain: &'a HostName,
    pub fallback_upstreams: bool,
    pub host_domain: Option<&'a str>,
    pub backup: &'a Path,
}

impl ResolvConf {
    /// Reads a file as libc does: what it does not know is skipped.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            // A keyword stands at the start of its line.
            let keyword = if line.starts_with([' ', '\t']) { None } else { words.next() };
            match keyword {
                Some("nameserver") => conf.nameservers.extend(words.next().map(str::to_owned)),
                // The last of these lines counts.
                Some("search") => conf.search = Some(words.map(str::to_owned).collect()),
                Some("domain") => conf.search = Some(words.take(1).map(str::to_owned).collect()),
                Some("options") => conf.options.extend(words.map(str::to_owned)),
                Some("sortlist") => conf.sortlists.push(line.to_owned()),
                _ => {}
            }
        }
        conf
    }

    /// Whether we wrote that file.
    pub fn is_ours(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// What a file of ours remembers of the former one; none if there was none.
    pub fn former(ours: &str) -> Option<Self> {
        if ours.lines().any(|line| line == NO_FORMER) {
            return None;
        }
        let lines: Vec<&str> = ours.lines().filter_map(|line| line.strip_prefix(FORMER)).collect();
        Some(Self::parse(&lines.join("\n")))
    }

    /// As a file.
    pub fn to_text(&self) -> String {
        self.lines().iter().map(|line| format!("{line}\n")).collect()
    }

    /// Whether it names systemd-resolved's stub and nothing else.
    pub(crate) fn points_at_resolved(&self) -> bool {
        !self.nameservers.is_empty() && self.nameservers.iter().all(|server| is_stub(server))
    }

    /// Where libc asks: 127.0.0.1 if no line says.
    pub(crate) fn effective_nameservers(&self) -> Vec<String> {
        if self.nameservers.is_empty() { vec![Ipv4Addr::LOCALHOST.to_string()] } else { self.nameservers.clone() }
    }

    /// The same as addresses. `resolved`: what stands for systemd-resolved's stub, which would ask us in turn.
    pub(crate) fn upstreams(&self, resolved: Option<&[SocketAddr]>) -> Vec<SocketAddr> {
        let mut upstreams = Vec::new();
        for server in self.effective_nameservers() {
            match resolved {
                Some(behind) if is_stub(&server) => upstreams.extend_from_slice(behind),
                _ => upstreams.extend(socket_address(&server)),
            }
        }
        upstreams
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.nameservers.iter().map(|server| format!("nameserver {server}")).collect();
        lines.extend(self.search.iter().map(|domains| format!("search {}", domains.join(" "))));
        if !self.options.is_empty() {
            lines.push(format!("options {}", self.options.join(" ")));
        }
        lines.extend(self.sortlists.iter().cloned());
        lines
    }
}

/// Our file, in the place of the former one (none: there was none).
///
/// The former search list comes first: a short name that means something on this host goes on meaning it. Options stay,
/// but for `rotate`, which would send every other question past us.
pub(crate) fn ours(former: Option<&ResolvConf>, entry: Entry<'_>) -> String {
    let Entry { loopback, domain, fallback_upstreams, host_domain, backup } = entry;
    let none = ResolvConf::default();
    let base = former.unwrap_or(&none);

    let mut nameservers = vec![loopback.to_string()];
    if fallback_upstreams {
        let others = base.effective_nameservers().into_iter().filter(|server| *server != loopback.to_string());
        nameservers.extend(others.take(NAME_SERVERS - 1));
    }
    let mut search =
        base.search.clone().unwrap_or_else(|| host_domain.into_iter().map(str::to_owned).collect::<Vec<_>>());
    if !search.iter().any(|searched| searched.trim_end_matches('.').eq_ignore_ascii_case(domain.as_str())) {
        search.push(domain.to_string());
    }
    let options = base.options.iter().filter(|option| *option != "rotate").cloned().collect();
    let conf = ResolvConf { nameservers, search: Some(search), options, sortlists: base.sortlists.clone() };

    let mut text = format!("{MARK}: it serves the names of the mesh at {loopback} and sends all others on.\n");
    let back = match former {
        Some(_) => format!("mv {} over this file", backup.display()),
        None => "remove this file".to_owned(),
    };
    text.push_str(&format!("# To undo: `servos-agent restore-resolver`, or {back}. The former file said:\n"));
    match former {
        Some(former) => former.lines().iter().for_each(|line| text.push_str(&format!("{FORMER}{line}\n"))),
        None => text.push_str(&format!("{NO_FORMER}\n")),
    }
    text + &conf.to_text()
}

/// 127.0.0.53 asks the servers of each interface, 127.0.0.54 does the same without local names.
fn is_stub(server: &str) -> bool {
    matches!(server, "127.0.0.53" | "127.0.0.54")
}

/// Of `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`.
fn socket_address(server: &str) -> Option<SocketAddr> {
    if let Ok(ip) = server.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, 53));
    }
    let (ip, interface) = server.split_once('%')?;
    let scope = nix::net::if_::if_nametoindex(interface).ok()?;
    Some(SocketAddrV6::new(ip.parse().ok()?, 53, 0, scope).into())
}
