//! What is to be done to the host's resolver settings. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use servos_mesh::{HostName, MeshAddress};

use super::facts::{Facts, LinkFacts, OnDisk, Present, ResolvedFacts};
use super::resolv_conf::{self, Entry, ResolvConf};
use super::{FileStep, LinkStep};
use crate::ResolverChoice;
use crate::limits::ROUTED_HOSTS;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What the settings say.
    pub choice: ResolverChoice,
    /// Where our DNS server answers this host.
    pub loopback: Ipv4Addr,
    /// Where it answers the mesh.
    pub address: MeshAddress,
    /// The search domain.
    pub domain: HostName,
    /// Further host names of services.
    pub hosts: Vec<HostName>,
    /// Upstreams of the settings; empty: the host's own.
    pub upstreams: Vec<SocketAddr>,
    /// Whether `resolv.conf` lists the former name servers behind ours.
    pub fallback_upstreams: bool,
    /// Where the former `resolv.conf` is kept.
    pub backup: PathBuf,
}

/// Whose settings are managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InCharge {
    /// systemd-resolved's.
    Resolved,
    /// `resolv.conf`.
    ResolvConf,
    /// Nobody's: the settings say so, or ask for what is not there.
    Nobody(ResolverChoice),
}

/// What is to be done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResolverPlan {
    /// Whose settings are managed.
    pub in_charge: InCharge,
    /// Empty: all is as it should be.
    pub steps: Vec<Step>,
    /// Where names are forwarded to that are not the mesh's: never an address of our own server.
    pub upstreams: Vec<SocketAddr>,
    /// What is left alone, and why.
    pub notes: Vec<String>,
    /// What stands in the way.
    pub problems: Vec<String>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Of `resolv.conf`.
    File(FileStep),
    /// Of what systemd-resolved knows of the interface with that number.
    Link(i32, LinkStep),
}

/// Plans from what is to what is wanted.
pub fn plan(facts: &Facts, wanted: &Wanted) -> ResolverPlan {
    let former = former(facts);
    let in_charge = in_charge(facts, former.as_ref(), wanted.choice);
    let mut plan = ResolverPlan {
        in_charge,
        upstreams: upstreams(facts, former.as_ref(), in_charge, wanted),
        ..ResolverPlan::default()
    };
    let resolved = facts.resolved.as_ref();
    let back = |plan: &mut ResolverPlan| plan.steps = restore(&facts.file, resolved);
    match in_charge {
        InCharge::Nobody(ResolverChoice::Off) => {
            back(&mut plan);
            plan.notes.push("the settings leave the host's resolver alone".to_owned());
        }
        InCharge::Nobody(_) => {
            back(&mut plan);
            plan.problems.push(
                "names.resolver = \"resolved\", and systemd-resolved is not on D-Bus: start it, or choose \"auto\""
                    .to_owned(),
            );
        }
        InCharge::Resolved if !facts.listening.mesh => {
            back(&mut plan);
            plan.problems.push(silent(wanted.address.ipv4(), "systemd-resolved's settings"));
        }
        InCharge::Resolved => {
            plan.steps = restore_file(&facts.file);
            match resolved.and_then(|resolved| resolved.link.as_ref()) {
                Some(link) => plan.steps.extend(link_steps(link, wanted)),
                None => plan.problems.push("systemd-resolved does not know the mesh's interface yet".to_owned()),
            }
        }
        InCharge::ResolvConf if !facts.listening.loopback => {
            back(&mut plan);
            plan.problems.push(silent(wanted.loopback, "resolv.conf"));
        }
        InCharge::ResolvConf => {
            plan.steps = restore_link(resolved);
            plan.steps.extend(file_steps(facts, former.as_ref(), wanted).into_iter().map(Step::File));
        }
    }
    plan
}

/// The way back: what is not ours stays as it is.
pub fn restore(file: &OnDisk, resolved: Option<&ResolvedFacts>) -> Vec<Step> {
    let mut steps = restore_file(file);
    steps.extend(restore_link(resolved));
    steps
}

fn restore_file(OnDisk { present, backup, leftovers }: &OnDisk) -> Vec<Step> {
    let steps = match (present, backup) {
        (Present::Ours(_), Some(_)) => vec![FileStep::PutBack, FileStep::Sweep],
        // Somebody removed the backup: what ours remembers of it has to do.
        (Present::Ours(text), None) => match ResolvConf::former(text) {
            Some(former) => vec![FileStep::Stage(former.to_text()), FileStep::Commit, FileStep::Sweep],
            None => vec![FileStep::Remove, FileStep::Sweep],
        },
        // Somebody removed ours: no file at all is nobody's wish.
        (Present::Absent, Some(_)) => vec![FileStep::PutBack, FileStep::Sweep],
        // Somebody has replaced ours since, or we ended before it was in place.
        (Present::Theirs(_), Some(_)) => vec![FileStep::Sweep],
        (Present::Theirs(_) | Present::Absent, None) if *leftovers => vec![FileStep::Sweep],
        (Present::Theirs(_) | Present::Absent, None) => Vec::new(),
    };
    steps.into_iter().map(Step::File).collect()
}

/// Only where something was set; any server on the mesh's interface is one that we put there.
fn restore_link(resolved: Option<&ResolvedFacts>) -> Vec<Step> {
    let link = resolved.and_then(|resolved| resolved.link.as_ref());
    let set = link.filter(|link| !link.servers.is_empty() || !link.domains.is_empty());
    set.map(|link| vec![Step::Link(link.index, LinkStep::Revert), Step::Link(link.index, LinkStep::FlushCaches)])
        .unwrap_or_default()
}

/// What `resolv.conf` says without us; none if it is not there.
fn former(facts: &Facts) -> Option<ResolvConf> {
    match (&facts.file.present, &facts.file.backup) {
        (Present::Theirs(text), _) => Some(ResolvConf::parse(text)),
        (_, Some(backup)) => Some(ResolvConf::parse(backup)),
        (Present::Ours(text), None) => ResolvConf::former(text),
        (Present::Absent, None) => None,
    }
}

fn in_charge(facts: &Facts, former: Option<&ResolvConf>, choice: ResolverChoice) -> InCharge {
    let on_bus = facts.resolved.is_some();
    let asked = former.is_some_and(ResolvConf::points_at_resolved);
    match choice {
        ResolverChoice::Auto if on_bus && asked => InCharge::Resolved,
        ResolverChoice::Auto | ResolverChoice::ResolvConf => InCharge::ResolvConf,
        ResolverChoice::Resolved if on_bus => InCharge::Resolved,
        ResolverChoice::Resolved | ResolverChoice::Off => InCharge::Nobody(choice),
    }
}

fn upstreams(facts: &Facts, former: Option<&ResolvConf>, in_charge: InCharge, wanted: &Wanted) -> Vec<SocketAddr> {
    let none = ResolvConf::default();
    let resolved = facts.resolved.as_ref().map(|resolved| resolved.servers.as_slice());
    let found = match (wanted.upstreams.as_slice(), in_charge, resolved) {
        ([], InCharge::Resolved, Some(servers)) => servers.to_vec(),
        ([], _, _) => former.unwrap_or(&none).upstreams(resolved),
        (set, _, _) => set.to_vec(),
    };
    let own: [IpAddr; 2] = [wanted.loopback.into(), wanted.address.ipv4().into()];
    let mut upstreams: Vec<SocketAddr> = Vec::new();
    for upstream in found {
        if !own.contains(&upstream.ip().to_canonical()) && !upstreams.contains(&upstream) {
            upstreams.push(upstream);
        }
    }
    upstreams
}

fn file_steps(facts: &Facts, former: Option<&ResolvConf>, wanted: &Wanted) -> Vec<FileStep> {
    let entry = Entry {
        loopback: wanted.loopback,
        domain: &wanted.domain,
        fallback_upstreams: wanted.fallback_upstreams,
        host_domain: facts.host_domain.as_deref(),
        backup: &wanted.backup,
    };
    let text = resolv_conf::ours(former, entry);
    match &facts.file.present {
        Present::Ours(present) if *present == text => Vec::new(),
        Present::Ours(_) | Present::Absent => vec![FileStep::Stage(text), FileStep::Commit],
        Present::Theirs(_) => {
            vec![FileStep::StageBackup, FileStep::CommitBackup, FileStep::Stage(text), FileStep::Commit]
        }
    }
}

fn link_steps(link: &LinkFacts, wanted: &Wanted) -> Vec<Step> {
    let domains = domains(wanted);
    let mut sorted = domains.clone();
    sorted.sort();
    let address = wanted.address.ipv4();
    let mut steps = Vec::new();
    let mut unless = |is_so: bool, step: LinkStep| {
        if !is_so {
            steps.push(Step::Link(link.index, step));
        }
    };
    // What restricts comes first: at no moment are all the host's questions asked here.
    unless(!link.default_route, LinkStep::NoDefaultRoute);
    unless(link.llmnr == "no", LinkStep::NoLlmnr);
    unless(link.multicast_dns == "no", LinkStep::NoMulticastDns);
    unless(link.dnssec == "no", LinkStep::NoDnssec);
    unless(link.dns_over_tls == "no", LinkStep::NoDnsOverTls);
    unless(link.domains == sorted, LinkStep::SetDomains(domains));
    unless(link.servers == [IpAddr::V4(address)], LinkStep::SetDns(address));
    if !steps.is_empty() {
        steps.push(Step::Link(link.index, LinkStep::FlushCaches));
    }
    steps
}

/// The search domain (without one, systemd-resolved asks nobody for a name without dots), and what is only routed: the
/// reverse zones and the hosts of services.
fn domains(wanted: &Wanted) -> Vec<(String, bool)> {
    let mut domains = vec![(wanted.domain.to_string(), false)];
    domains.extend((64..=127).map(|octet| (format!("{octet}.100.in-addr.arpa"), true)));
    let mut hosts: Vec<&str> = wanted.hosts.iter().map(HostName::as_str).filter(|host| host.contains('.')).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.retain(|host| *host != wanted.domain.as_str());
    domains.extend(hosts.into_iter().take(ROUTED_HOSTS).map(|host| (host.to_owned(), true)));
    domains
}

fn silent(address: Ipv4Addr, what: &str) -> String {
    format!("the DNS server does not answer on {address}: {what} stays as it was")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(step) => f.write_str(step.describe()),
            Self::Link(index, step) => write!(f, "systemd-resolved, interface {index}: {step}"),
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
