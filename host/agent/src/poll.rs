//! The poll loop: asks the control plane for the mesh state, keeps it on disk, hands it on. It never takes away what
//! works: whatever goes wrong here, the state that is there stays.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rand::Rng;
use serde::Serialize;
use servos_mesh::api::EndpointReport;
use servos_mesh::{MeshAddress, MeshDelta, MeshState, Own, PeerTable, Revision, SkippedPeer, timestamp};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::control_client::{ControlClient, ControlError, Polled};
use crate::error_chain::chain;
use crate::kept_state::KeptState;
use crate::key_ring::KeyRing;
use crate::limits::{DELTA_ATTEMPTS, POLL_BACKOFF, POLL_PAUSE};
use crate::state_file::StateFileError;

/// What `status` says of the control plane.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ControlStatus {
    /// Where it is.
    pub url: String,
    /// Last answer that could be used.
    #[serde(serialize_with = "timestamp::serialize")]
    pub last_contact: Option<SystemTime>,
    /// Why the last attempt failed; none if it did not.
    pub error: Option<String>,
    /// Attempts that failed in a row.
    pub failures: u32,
    /// What the last change was; none before the first.
    pub last_update: Option<Update>,
    /// Changes that were put in force since the start.
    pub updates: Updates,
    /// Why the state on disk is not the one in force; none if it is.
    pub state_file_error: Option<String>,
}

/// A change of the mesh.
#[derive(Clone, Debug, Serialize)]
pub struct Update {
    /// How it came.
    pub kind: UpdateKind,
    /// Servers that it named; of a whole state, all.
    pub servers: usize,
    /// When it was put in force.
    #[serde(serialize_with = "timestamp::serialize")]
    pub at: Option<SystemTime>,
}

/// How a change of the mesh came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateKind {
    /// As a whole state.
    Whole,
    /// As what changed.
    Delta,
}

/// How many changes came.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Updates {
    /// As whole states.
    pub whole: u64,
    /// As what changed.
    pub delta: u64,
}

/// Polls for ever.
pub struct Poller {
    client: ControlClient,
    kept: Arc<Mutex<KeptState>>,
    address: MeshAddress,
    keys: Arc<KeyRing>,
    endpoint: EndpointReport,
    table: watch::Sender<Arc<PeerTable>>,
    status: Arc<Mutex<ControlStatus>>,
}

impl Poller {
    /// A poller that publishes to `table`. With what is kept comes why it could not be used, if it could not.
    pub fn new(
        client: ControlClient,
        (kept, state_file_error): (KeptState, Option<String>),
        address: MeshAddress,
        keys: Arc<KeyRing>,
        endpoint: EndpointReport,
        table: watch::Sender<Arc<PeerTable>>,
    ) -> Self {
        let url = client.url().to_owned();
        let status = Arc::new(Mutex::new(ControlStatus { url, state_file_error, ..Default::default() }));
        Self { client, kept: Arc::new(Mutex::new(kept)), address, keys, endpoint, table, status }
    }

    /// What `status` reads.
    pub fn status(&self) -> Arc<Mutex<ControlStatus>> {
        self.status.clone()
    }

    /// Never returns; drop it to stop.
    pub async fn run(self) {
        // After any failure to use an answer the revision is forgotten, and the whole is asked for.
        let mut known = self.known_revision();
        let mut endpoint_reported = false;
        let mut broke_off = 0;
        loop {
            if !endpoint_reported {
                // What stands in the way of this stands in the way of the poll, which says so.
                endpoint_reported = self.client.report_endpoint(&self.endpoint).await.is_ok();
            }
            self.follow_key().await;
            let asked_at = Instant::now();
            let polled = self.client.poll(known, broke_off < DELTA_ATTEMPTS).await;
            broke_off = match &polled {
                Ok(_) => 0,
                Err(ControlError::Unreachable { broke_off: true, .. }) => broke_off + 1,
                // That nobody is there says nothing of what would be answered.
                Err(_) => broke_off,
            };
            match polled {
                Ok(Polled::Unchanged { held }) => {
                    self.succeeded();
                    self.keep_again().await;
                    if !held {
                        tokio::time::sleep(jittered(POLL_PAUSE).saturating_sub(asked_at.elapsed())).await;
                    }
                }
                Ok(Polled::Changed(state)) => self.note(&mut known, self.accept(*state).await).await,
                Ok(Polled::Delta(delta)) => self.note(&mut known, self.accept_delta(*delta).await).await,
                Err(error) => {
                    if !matches!(error, ControlError::Refused { .. }) {
                        // The way may have changed, and with it the address that peers reach us at.
                        endpoint_reported = false;
                    }
                    if matches!(error, ControlError::State { .. } | ControlError::Delta { .. }) {
                        known = None;
                    }
                    self.failed(&error).await;
                }
            }
        }
    }

    fn known_revision(&self) -> Option<Revision> {
        let revision = self.table.borrow().revision();
        (revision != Revision(0)).then_some(revision)
    }

    /// What came of an answer: the revision that is known from here on.
    async fn note(&self, known: &mut Option<Revision>, accepted: Result<Revision, String>) {
        match accepted {
            Ok(revision) => {
                *known = Some(revision);
                self.succeeded();
            }
            Err(problem) => {
                *known = None;
                self.pause(problem, None).await;
            }
        }
    }

    /// Puts a state in force: in memory first, since a full disk must not keep the mesh from changing.
    async fn accept(&self, state: MeshState) -> Result<Revision, String> {
        let before = self.table.borrow().clone();
        if before.revision() != Revision(0) && before.mesh() != state.mesh() {
            return Err("the control plane sends the state of another mesh; the present one stays".to_owned());
        }
        let revision = state.revision();
        let went_back = revision < before.revision();
        if went_back {
            warn!(%revision, before = %before.revision(), "the control plane went back: restored from a backup?");
        }
        let own = self.own();
        let state = Arc::new(state);
        let indexed = state.clone();
        let table = tokio::task::spawn_blocking(move || PeerTable::new(indexed, Some(own)));
        let table = table.await.map_err(|error| error.to_string())?;
        if table.own().is_none() {
            return Err("the control plane sends a mesh without this server; the present one stays".to_owned());
        }
        table.skipped().for_each(warn_of);
        info!(%revision, peers = table.len(), services = state.services().len(), "mesh state changed");
        self.table.send_replace(Arc::new(table));
        self.count(UpdateKind::Whole, state.peers().len());
        self.keep(move |kept| kept.keep_whole(state, went_back)).await;
        Ok(revision)
    }

    /// Puts a change in force, in memory first.
    async fn accept_delta(&self, delta: MeshDelta) -> Result<Revision, String> {
        let before = self.table.borrow().clone();
        let delta = Arc::new(delta);
        let applied = tokio::task::spawn_blocking({
            let (before, delta) = (before.clone(), delta.clone());
            move || before.apply(&delta)
        });
        let applied = applied.await.map_err(|error| error.to_string())?;
        let table = applied.map_err(|error| {
            let problem = chain(&error);
            format!(
                "the control plane sends a change of the mesh that cannot be used; the whole is asked for: {problem}"
            )
        })?;
        if table.own().is_none() {
            return Err("the control plane takes this server out of the mesh; the present one stays".to_owned());
        }
        let changed: HashSet<_> = table.changes_since(&before).into_iter().flatten().collect();
        table.skipped().filter(|skipped| changed.contains(&skipped.address)).for_each(warn_of);
        let (revision, servers) = (table.revision(), delta.peers().len() + delta.removed().len());
        info!(%revision, servers, peers = table.len(), services = table.services().len(), "mesh changed");
        let table = Arc::new(table);
        self.table.send_replace(table.clone());
        self.count(UpdateKind::Delta, servers);
        self.keep(move |kept| kept.keep_delta(delta)).await;
        if table.is_overgrown() || self.kept.lock().is_long() {
            self.compact(table).await?;
        }
        Ok(revision)
    }

    /// Judges all records anew once this server has another key.
    async fn follow_key(&self) {
        let table = self.table.borrow().clone();
        if table.own().is_some()
            && table.made_for() != Some(self.own())
            && let Err(problem) = self.compact(table).await
        {
            warn!(problem, "records are judged by this server's key before");
        }
    }

    fn own(&self) -> Own {
        Own { address: self.address, public_key: self.keys.public_key() }
    }

    /// Writes the mesh out whole and goes on from there. It is in force already: nothing waits for this but the next
    /// poll.
    async fn compact(&self, table: Arc<PeerTable>) -> Result<(), String> {
        let failed = |problem| format!("the mesh cannot be written out whole, and the whole is asked for: {problem}");
        let own = self.own();
        let compacted = tokio::task::spawn_blocking(move || table.compact(Some(own))).await;
        let compacted = compacted.map_err(|error| failed(error.to_string()))?;
        let table = Arc::new(compacted.map_err(|error| failed(chain(&error)))?);
        info!(revision = %table.revision(), bytes = table.base().body().len(), "mesh written out whole");
        let state = table.base().clone();
        self.table.send_replace(table);
        self.keep(move |kept| kept.keep_whole(state, false)).await;
        Ok(())
    }

    fn count(&self, kind: UpdateKind, servers: usize) {
        let mut status = self.status.lock();
        match kind {
            UpdateKind::Whole => status.updates.whole += 1,
            UpdateKind::Delta => status.updates.delta += 1,
        }
        status.last_update = Some(Update { kind, servers, at: Some(SystemTime::now()) });
    }

    /// Brings a change to the disk.
    async fn keep(&self, write: impl FnOnce(&mut KeptState) -> Result<(), StateFileError> + Send + 'static) {
        let kept = self.kept.clone();
        let written = tokio::task::spawn_blocking(move || write(&mut kept.lock())).await;
        let problem = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(error) => Some(error.to_string()),
        };
        let mut status = self.status.lock();
        if let Some(problem) = problem.as_ref().filter(|&problem| status.state_file_error.as_ref() != Some(problem)) {
            warn!(problem, "the mesh state is in force and not on disk");
        }
        status.state_file_error = problem;
    }

    /// What did not get to the disk with its change would wait for the next, which may be weeks away.
    async fn keep_again(&self) {
        let is_kept = self.status.lock().state_file_error.is_none();
        if !is_kept {
            self.keep(KeptState::write).await;
        }
    }

    fn succeeded(&self) {
        let mut status = self.status.lock();
        status.last_contact = Some(SystemTime::now());
        status.error = None;
        status.failures = 0;
    }

    async fn failed(&self, error: &ControlError) {
        let mut problem = chain(error);
        if error.is_unauthorised() {
            problem.push_str(CREDENTIAL_REFUSED);
        }
        self.pause(problem, error.retry_after()).await;
    }

    /// Notes the failure and waits: as long as asked, else longer each time, never in step with other servers.
    async fn pause(&self, problem: String, retry_after: Option<Duration>) {
        let failures = {
            let mut status = self.status.lock();
            status.failures = status.failures.saturating_add(1);
            if status.error.as_deref() != Some(&problem) {
                warn!(problem, "poll failed; the mesh goes on as it is");
            }
            status.error = Some(problem);
            status.failures
        };
        tokio::time::sleep(pause_after(failures, retry_after)).await;
    }
}

fn warn_of(skipped: &SkippedPeer) {
    warn!(name = skipped.name, address = %skipped.address, reason = ?skipped.reason, "peer makes no sense, skipped");
}

/// What an operator is told when the control plane refuses this server's credential.
const CREDENTIAL_REFUSED: &str = "; was this server deleted there? The mesh goes on as it was. `servos-agent \
     decommission` takes the server out, `servos-agent commission` with a new token then joins again";

/// Pause after so many failures in a row: ours, or the longer one that the control plane asks for; never in step with
/// other servers.
pub fn pause_after(failures: u32, asked: Option<Duration>) -> Duration {
    let ours = jittered(backoff(failures));
    asked.map_or(ours, |asked| ours.max(asked + jittered(Duration::from_secs(1))))
}

/// Doubling, bounded.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = POLL_BACKOFF;
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

/// Between half and the whole of `pause`.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}
