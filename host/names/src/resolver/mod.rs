//! `HostResolver`: makes the programs of this host ask our DNS server, and puts everything back.
//!
//! [`facts`] says how things are, [`plan`] what is to be done (pure), and here it is done. Nothing is touched before the
//! DNS server has answered a question, and what is done is taken back when it no longer does.

mod error;
mod facts;
mod link_step;
mod plan;
mod probe;
mod resolv_conf;
mod resolv_conf_file;
mod resolved;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use servos_mesh::{MeshAddress, Snapshot};
use tokio::sync::Mutex;
use tracing::info;

pub use error::ResolverError;
pub use facts::{Facts, LinkFacts, Listening, OnDisk, Present, ResolvedFacts};
pub use link_step::LinkStep;
pub use plan::{InCharge, ResolverPlan, Step, Wanted, plan as plan_resolver, restore as plan_restore};
pub use resolv_conf::ResolvConf;
pub use resolv_conf_file::{FileStep, ResolvConfFile};
pub use watch::ResolverWatch;

use crate::{NamesSettings, ResolverChoice};
use resolved::Resolved;

/// The host's resolver settings.
#[derive(Clone)]
pub struct HostResolver(Arc<Inner>);

struct Inner {
    settings: NamesSettings,
    interface: String,
    address: MeshAddress,
    file: ResolvConfFile,
    /// Held while they are read or changed.
    work: Mutex<Work>,
}

struct Work {
    resolved: Resolved,
    /// What was last applied, for when systemd-resolved starts anew and has forgotten it.
    applied: Option<Wanted>,
}

/// What an application of a plan came to.
#[derive(Debug, Default, Serialize)]
pub struct ResolverReport {
    /// Whose settings are managed.
    pub in_charge: InCharge,
    /// The steps that were done.
    pub done: Vec<Step>,
    /// What was left alone, and why.
    pub notes: Vec<String>,
    /// What stands in the way: try again when the listeners or the interface change.
    pub problems: Vec<String>,
    /// Where names are to be forwarded to that are not the mesh's.
    pub upstreams: Vec<SocketAddr>,
}

impl HostResolver {
    /// Nothing is read or changed yet. `interface`: the mesh's, for example `wg0`; `address`: this server's in it.
    pub fn new(settings: &NamesSettings, interface: &str, address: MeshAddress) -> Self {
        Self(Arc::new(Inner {
            settings: settings.clone(),
            interface: interface.to_owned(),
            address,
            file: ResolvConfFile::new(&settings.paths.resolv_conf),
            work: Mutex::new(Work { resolved: Resolved::new(&settings.paths), applied: None }),
        }))
    }

    /// Where the host sends its questions by itself: what [`NameServer::start`](crate::NameServer::start) needs, before
    /// anything is changed, or after an earlier agent changed it.
    ///
    /// # Errors
    ///
    /// [`ResolverError`] if `resolv.conf` is there and cannot be read.
    pub async fn upstreams(&self, mesh: &Snapshot) -> Result<Vec<SocketAddr>, ResolverError> {
        Ok(self.plan(mesh).await?.upstreams)
    }

    /// What [`apply`](Self::apply) would do at this moment.
    ///
    /// # Errors
    ///
    /// [`ResolverError`] if the settings cannot be read.
    pub async fn plan(&self, mesh: &Snapshot) -> Result<ResolverPlan, ResolverError> {
        let wanted = self.wanted(mesh);
        let mut work = self.0.work.lock().await;
        let facts = self.0.facts(&mut work, &wanted).await?;
        Ok(plan::plan(&facts, &wanted))
    }

    /// Reads, plans and does it. Idempotent; cheap if all is as it should be. A step that fails ends it; it stands among
    /// the problems, and the host resolves names as well as before it.
    pub async fn apply(&self, mesh: &Snapshot) -> ResolverReport {
        let wanted = self.wanted(mesh);
        let mut work = self.0.work.lock().await;
        work.applied = Some(wanted.clone());
        self.0.apply(&mut work, &wanted).await
    }

    /// Puts back what was there before. Idempotent; changes nothing that is not ours.
    pub async fn restore(&self) -> ResolverReport {
        let mut work = self.0.work.lock().await;
        work.applied = None;
        self.0.restore(&mut work).await
    }

    /// Applies again whenever systemd-resolved starts anew, until the result is dropped.
    pub fn watch(&self) -> ResolverWatch {
        watch::start(self.clone())
    }

    async fn apply_again(&self) {
        let mut work = self.0.work.lock().await;
        if let Some(wanted) = work.applied.clone() {
            info!("systemd-resolved started anew: its settings for the mesh are made again");
            self.0.apply(&mut work, &wanted).await;
        }
    }

    fn wanted(&self, mesh: &Snapshot) -> Wanted {
        let table = &mesh.table;
        let hosts = table.services().iter().flat_map(|service| &service.hosts);
        Wanted {
            choice: self.0.settings.resolver,
            loopback: self.0.settings.loopback,
            address: self.0.address,
            domain: table.domain().clone(),
            hosts: hosts.cloned().collect(),
            upstreams: self.0.settings.upstreams.clone(),
            fallback_upstreams: self.0.settings.fallback_upstreams,
            backup: self.0.file.backup().to_owned(),
        }
    }
}

/// Puts back what an agent left, without one: for `decommission`, and for after a crash. Changes nothing that is not
/// ours. `interface`: the mesh's.
pub async fn restore_resolver(settings: &NamesSettings, interface: &str) -> ResolverReport {
    // The address does not matter for the way back.
    HostResolver::new(settings, interface, MeshAddress::FIRST).restore().await
}

impl Inner {
    async fn facts(&self, work: &mut Work, wanted: &Wanted) -> Result<Facts, ResolverError> {
        Ok(Facts {
            file: self.file.read()?,
            host_domain: facts::host_domain(),
            resolved: work.resolved.facts(&self.interface).await?,
            listening: probe::listening(wanted).await,
        })
    }

    async fn apply(&self, work: &mut Work, wanted: &Wanted) -> ResolverReport {
        match self.facts(work, wanted).await {
            Ok(facts) => self.carry_out(work, plan::plan(&facts, wanted)).await,
            Err(error) => ResolverReport { problems: vec![error.to_text()], ..ResolverReport::default() },
        }
    }

    async fn restore(&self, work: &mut Work) -> ResolverReport {
        let resolved = work.resolved.facts(&self.interface).await;
        let (resolved, mut problems) = match resolved {
            Ok(resolved) => (resolved, Vec::new()),
            Err(error) => (None, vec![error.to_text()]),
        };
        let mut report = match self.file.read() {
            Ok(file) => {
                let steps = plan::restore(&file, resolved.as_ref());
                self.carry_out(work, ResolverPlan { steps, ..ResolverPlan::default() }).await
            }
            Err(error) => ResolverReport { problems: vec![error.to_text()], ..ResolverReport::default() },
        };
        report.problems.append(&mut problems);
        report
    }

    async fn carry_out(&self, work: &mut Work, plan: ResolverPlan) -> ResolverReport {
        let ResolverPlan { in_charge, steps, upstreams, notes, problems } = plan;
        let mut report = ResolverReport { in_charge, done: Vec::new(), notes, problems, upstreams };
        for step in steps {
            let done = match &step {
                Step::File(step) => self.file.run(step),
                Step::Link(index, step) => work.resolved.run(*index, step).await,
            };
            if let Err(error) = done {
                report.problems.push(error.to_text());
                break;
            }
            info!(%step, "resolver");
            report.done.push(step);
        }
        report
    }
}

impl Default for InCharge {
    fn default() -> Self {
        Self::Nobody(ResolverChoice::Off)
    }
}
