//! The firewall's executor: asks the policy plugins for rules, and has the firewall brought to them.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::{Value, json};
use servos_firewall::{Firewall, FirewallReport};
use servos_mesh::{Protocol, Snapshot};
use servos_sandbox::PluginHost;
use servos_sandbox::policy::{LocalInstance, PolicyContext, Rule, Transport};

use crate::error_chain::chain;
use crate::executors::driver::{Applied, Detail, Executor, PlanView};
use crate::limits::DRIFT_CHECK;
use crate::settings::Settings;

/// See the module.
pub struct FirewallPart {
    firewall: Firewall,
    plugins: Arc<PluginHost>,
    interface: String,
    wireguard_port: u16,
    /// What is in force since when, and what was left alone: reading ufw costs a tenth of a second of CPU, and health
    /// changes more often than rules do.
    in_force: Option<(Option<Vec<Rule>>, Instant, Vec<String>)>,
    seen: Arc<Mutex<Value>>,
}

impl FirewallPart {
    /// Nothing is touched before the first round.
    pub fn new(settings: &Settings, plugins: Arc<PluginHost>) -> Self {
        Self {
            firewall: firewall(settings),
            plugins,
            interface: settings.tunnel.interface.clone(),
            wireguard_port: settings.tunnel.listen_port,
            in_force: None,
            seen: Arc::new(Mutex::new(Value::Null)),
        }
    }

    /// The rules that the policy plugins want; none if none of them could answer.
    async fn wanted(&self, snapshot: &Arc<Snapshot>) -> Result<Option<Vec<Rule>>, String> {
        let context = PolicyContext {
            wireguard_port: self.wireguard_port,
            interface: self.interface.clone(),
            instances: local_instances(snapshot),
            proxy_ports: snapshot.observations.proxy.as_ref().map(|proxy| proxy.ports.clone()).unwrap_or_default(),
        };
        let (plugins, snapshot) = (self.plugins.clone(), snapshot.clone());
        let asked = tokio::task::spawn_blocking(move || plugins.rules(&snapshot, &context)).await;
        asked.map_err(|error| error.to_string())
    }
}

impl Executor for FirewallPart {
    const NAME: &'static str = "firewall";

    async fn plan(&mut self, snapshot: &Arc<Snapshot>) -> Result<PlanView, String> {
        let wanted = self.wanted(snapshot).await?;
        let plan = self.firewall.plan(wanted.as_deref()).await.map_err(|error| chain(&error))?;
        let steps = plan.steps.iter().map(text).collect();
        let mut notes = plan.notes;
        notes.extend(plan.kept.iter().map(|kept| kept.to_string()));
        notes.extend(plan.refused.iter().map(|refused| refused.to_string()));
        Ok(PlanView { steps, notes })
    }

    async fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Applied {
        let wanted = match self.wanted(snapshot).await {
            Ok(wanted) => wanted,
            Err(error) => return Applied { errors: vec![error], ..Applied::default() },
        };
        if let Some((rules, since, notes)) = &self.in_force
            && *rules == wanted
            && since.elapsed() < DRIFT_CHECK
        {
            return Applied { notes: notes.clone(), ..Applied::default() };
        }
        self.in_force = None;
        let report = match self.firewall.apply(wanted.as_deref()).await {
            Ok(report) => report,
            Err(error) => return Applied { errors: vec![chain(&error)], ..Applied::default() },
        };
        *self.seen.lock() = json!({ "ufw": report.ufw, "rules_wanted": wanted.as_ref().map(Vec::len) });
        let applied = applied(&report);
        if applied.errors.is_empty() {
            self.in_force = Some((wanted, Instant::now(), applied.notes.clone()));
        }
        applied
    }

    /// Rules stay: a server without agent is not to be locked up, nor opened.
    async fn stop(&mut self) {}

    fn detail(&self) -> Detail {
        let seen = self.seen.clone();
        Arc::new(move || seen.lock().clone())
    }
}

/// Takes the mesh's rules back. What could not be done comes back in words.
pub async fn take_back(settings: &Settings) -> Vec<String> {
    match firewall(settings).decommission().await {
        Ok(report) => {
            let failed = report.failed.iter().map(|failure| format!("{}: {}", text(&failure.step), failure.error));
            let left = report.left.iter().map(|step| format!("not done: {}", text(step)));
            failed.chain(left).chain(report.kept.iter().map(ToString::to_string)).collect()
        }
        Err(error) => vec![chain(&error)],
    }
}

fn firewall(settings: &Settings) -> Firewall {
    Firewall::new(settings.firewall.clone(), &settings.tunnel.interface, settings.tunnel.listen_port)
}

fn applied(report: &FirewallReport) -> Applied {
    let mut notes = report.notes.clone();
    notes.extend(report.kept.iter().map(|kept| kept.to_string()));
    notes.extend(report.refused.iter().map(|refused| refused.to_string()));
    let mut errors: Vec<_> =
        report.failed.iter().map(|failure| format!("{}: {}", text(&failure.step), failure.error)).collect();
    errors.extend(report.left.iter().filter(|_| report.ufw.is_some()).map(|step| format!("not tried: {}", text(step))));
    Applied { done: report.done.iter().map(text).collect(), notes, errors, again_in: None }
}

/// A step is serialised as its text.
fn text(step: &servos_firewall::Step) -> String {
    json!(step).as_str().unwrap_or_default().to_owned()
}

fn local_instances(snapshot: &Snapshot) -> Vec<LocalInstance> {
    let Some(own) = snapshot.table.own().map(|own| own.address()) else { return Vec::new() };
    let mut found = Vec::new();
    for service in snapshot.table.local_services() {
        let transport = match service.protocol {
            Protocol::Http | Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        };
        let here = service.instances.iter().filter(|instance| instance.server() == own);
        found.extend(here.map(|instance| LocalInstance {
            service: service.name.to_string(),
            transport,
            port: instance.port(),
        }));
    }
    found
}
