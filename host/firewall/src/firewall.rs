//! The firewall of this server: reads the world, plans, applies. What the agent holds.

use servos_sandbox::policy;
use tokio::sync::Mutex;

use crate::apply::{FirewallReport, apply};
use crate::command::CommandError;
use crate::decommission::plan_decommission;
use crate::facts::Facts;
use crate::guard_rails::GuardRails;
use crate::lock::{LockError, RunLock};
use crate::plan::{FirewallPlan, plan};
use crate::settings::{FirewallMode, FirewallSettings};

/// ufw on this server.
#[derive(Debug)]
pub struct Firewall {
    settings: FirewallSettings,
    guard: GuardRails,
    /// One run at a time; between processes the lock file sees to it.
    running: Mutex<()>,
}

impl Firewall {
    /// A firewall that keeps UDP `wireguard_port` open and takes `interface` (for example `wg0`) for the mesh.
    pub fn new(settings: FirewallSettings, interface: impl Into<String>, wireguard_port: u16) -> Self {
        let guard = GuardRails { interface: interface.into(), wireguard_port, enable_ufw: settings.enable_ufw };
        Self { settings, guard, running: Mutex::new(()) }
    }

    /// What [`apply`](Self::apply) would do. Changes nothing. `desired` as in [`plan`](crate::plan).
    ///
    /// # Errors
    ///
    /// [`FirewallError::Read`] if ufw is there and does not answer.
    pub async fn plan(&self, desired: Option<&[policy::Rule]>) -> Result<FirewallPlan, FirewallError> {
        if self.settings.mode == FirewallMode::Off {
            return Ok(off());
        }
        let facts = Facts::read(&self.settings).await.map_err(FirewallError::Read)?;
        Ok(plan(desired, &facts, &self.guard))
    }

    /// Brings ufw to what `desired` and the guard rails ask for. `desired` as in [`plan`](crate::plan). One command at a
    /// time; after each, ufw is read again and what is left is planned anew. A command that fails is reported, what was
    /// done stays, and the next run tries again.
    ///
    /// # Errors
    ///
    /// [`FirewallError::Read`] if ufw is there and does not answer, [`FirewallError::Lock`] if another run holds the
    /// lock. Nothing was done then.
    pub async fn apply(&self, desired: Option<&[policy::Rule]>) -> Result<FirewallReport, FirewallError> {
        self.run(|facts| plan(desired, facts, &self.guard)).await
    }

    /// Takes the mesh's rules back, and nothing else; see [`plan_decommission`].
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub async fn decommission(&self) -> Result<FirewallReport, FirewallError> {
        self.run(plan_decommission).await
    }

    async fn run(&self, planner: impl Fn(&Facts) -> FirewallPlan) -> Result<FirewallReport, FirewallError> {
        if self.settings.mode == FirewallMode::Off {
            return Ok(FirewallReport::of(off()));
        }
        let _running = self.running.lock().await;
        let _lock = RunLock::take(&self.settings.lock_path).await?;
        let facts = Facts::read(&self.settings).await.map_err(FirewallError::Read)?;
        Ok(apply(&self.settings.ufw_path, facts, planner).await)
    }
}

fn off() -> FirewallPlan {
    let note = "mode = \"off\": ufw is left alone, and WireGuard's port is opened by nobody here".to_owned();
    FirewallPlan { notes: vec![note], ..FirewallPlan::default() }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// ufw is there and does not answer.
    #[error("cannot read the firewall")]
    Read(#[source] CommandError),
    /// Another run holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
}
