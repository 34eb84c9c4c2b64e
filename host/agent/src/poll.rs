//! The poll loop: asks the control plane for the mesh state, keeps it on disk, hands it on. It never takes away what
//! works: whatever goes wrong here, the state that is there stays.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rand::Rng;
use serde::Serialize;
use servos_mesh::api::EndpointReport;
use servos_mesh::{MeshState, Own, PeerTable, Revision, timestamp};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::control_client::{ControlClient, ControlError, Polled};
use crate::limits::{POLL_BACKOFF, POLL_PAUSE};
use crate::paths::Paths;
use crate::state_file;

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
    /// Why the state on disk is not the one in force; none if it is.
    pub state_file_error: Option<String>,
}

/// Polls for ever.
pub struct Poller {
    client: ControlClient,
    paths: Paths,
    own: Own,
    endpoint: EndpointReport,
    table: watch::Sender<Arc<PeerTable>>,
    status: Arc<Mutex<ControlStatus>>,
}

impl Poller {
    /// A poller that publishes to `table`.
    pub fn new(
        client: ControlClient,
        paths: Paths,
        own: Own,
        endpoint: EndpointReport,
        table: watch::Sender<Arc<PeerTable>>,
    ) -> Self {
        let status = Arc::new(Mutex::new(ControlStatus { url: client.url().to_owned(), ..Default::default() }));
        Self { client, paths, own, endpoint, table, status }
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
        loop {
            if !endpoint_reported {
                // What stands in the way of this stands in the way of the poll, which says so.
                endpoint_reported = self.client.report_endpoint(&self.endpoint).await.is_ok();
            }
            let asked_at = Instant::now();
            match self.client.poll(known).await {
                Ok(Polled::Unchanged { held }) => {
                    self.succeeded();
                    if !held {
                        tokio::time::sleep(jittered(POLL_PAUSE).saturating_sub(asked_at.elapsed())).await;
                    }
                }
                Ok(Polled::Changed(state)) => match self.accept(*state).await {
                    Ok(revision) => {
                        known = Some(revision);
                        self.succeeded();
                    }
                    Err(problem) => {
                        known = None;
                        self.pause(problem, None).await;
                    }
                },
                Err(error) => {
                    if !matches!(error, ControlError::Refused { .. }) {
                        // The way may have changed, and with it the address that peers reach us at.
                        endpoint_reported = false;
                    }
                    if matches!(error, ControlError::State { .. }) {
                        known = None;
                    }
                    self.failed(&error).await;
                }
            }
        }
    }

    fn known_revision(&self) -> Option<Revision> {
        let revision = self.table.borrow().state().revision();
        (revision != Revision(0)).then_some(revision)
    }

    /// Puts a state in force: in memory first, since a full disk must not keep the mesh from changing.
    async fn accept(&self, state: MeshState) -> Result<Revision, String> {
        let before = self.table.borrow().state().clone();
        if before.revision() != Revision(0) && before.mesh() != state.mesh() {
            return Err("the control plane sends the state of another mesh; the present one stays".to_owned());
        }
        let revision = state.revision();
        if revision < before.revision() {
            warn!(%revision, before = %before.revision(), "the control plane went back: restored from a backup?");
        }
        let own = self.own;
        let state = Arc::new(state);
        let indexed = state.clone();
        let table = tokio::task::spawn_blocking(move || PeerTable::new(indexed, Some(own)));
        let table = table.await.map_err(|error| error.to_string())?;
        if table.own().is_none() {
            return Err("the control plane sends a mesh without this server; the present one stays".to_owned());
        }
        for skipped in table.skipped() {
            warn!(name = skipped.name, address = %skipped.address, reason = ?skipped.reason, "peer makes no sense, skipped");
        }
        info!(%revision, peers = table.len(), services = state.services().len(), "mesh state changed");
        self.table.send_replace(Arc::new(table));
        let path = self.paths.mesh_state();
        let kept = tokio::task::spawn_blocking(move || state_file::store(&path, &state)).await;
        let problem = match kept {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = &problem {
            warn!(problem, "the mesh state is in force and not on disk");
        }
        self.status.lock().state_file_error = problem;
        Ok(revision)
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
        let pause = match retry_after {
            Some(asked) => asked + jittered(Duration::from_secs(1)),
            None => jittered(backoff(failures)),
        };
        tokio::time::sleep(pause).await;
    }
}

/// What an operator is told when the control plane refuses this server's credential.
const CREDENTIAL_REFUSED: &str = "; was this server deleted there? The mesh goes on as it was. `servos-agent \
     decommission` takes the server out, `servos-agent commission` with a new token then joins again";

/// Pause after so many failures in a row: doubling, bounded.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = POLL_BACKOFF;
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

/// Between half and the whole of `pause`.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// An error with all its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
