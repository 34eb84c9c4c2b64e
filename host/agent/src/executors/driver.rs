//! Drives one executor for ever: look, plan, apply, report; again when something changed, when it failed, and now and
//! then in case somebody else changed its part of the world.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rand::Rng;
use serde::Serialize;
use servos_mesh::{Snapshot, timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::limits::{APPLY_BACKOFF, DRIFT_CHECK};

/// What one executor would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanView {
    /// One line a step, in order. Empty: all is as it should be.
    pub steps: Vec<String>,
    /// What it leaves alone, and why; what it was asked for and refuses.
    pub notes: Vec<String>,
}

/// An executor's own view of its part of the world, as JSON.
pub type Detail = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// One part of the world.
pub trait Executor: Send + 'static {
    /// Its name in `status` and `plan`.
    const NAME: &'static str;

    /// What there is to do: reads the world, changes nothing.
    fn plan(&mut self, snapshot: &Arc<Snapshot>) -> impl Future<Output = Result<PlanView, String>> + Send;

    /// Plans and does it. Idempotent. What it did comes back even when something failed.
    fn apply(&mut self, snapshot: &Arc<Snapshot>) -> impl Future<Output = Applied> + Send;

    /// Leaves the world as it should be without an agent.
    fn stop(&mut self) -> impl Future<Output = ()> + Send;

    /// What `status` shows beside the outcome, read whenever somebody asks.
    fn detail(&self) -> Detail;
}

/// What an application of a plan came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One line a step that was done.
    pub done: Vec<String>,
    /// What was left alone or refused, and why.
    pub notes: Vec<String>,
    /// What failed; empty if nothing did.
    pub errors: Vec<String>,
    /// When to look again though nothing changed, if sooner than for drift.
    pub again_in: Option<Duration>,
}

/// Where an executor stands.
#[derive(Clone, Debug, Serialize)]
pub struct ExecutorStatus {
    /// Which.
    pub name: &'static str,
    /// How the last round ended.
    pub state: ExecutorState,
    /// The generation that is in force.
    pub generation: u64,
    /// When something was last done.
    #[serde(serialize_with = "timestamp::serialize")]
    pub last_change: Option<SystemTime>,
    /// What was last done.
    pub last_done: Vec<String>,
    /// What is left alone or refused, and why.
    pub notes: Vec<String>,
    /// What stops it.
    pub errors: Vec<String>,
    /// Rounds that failed in a row.
    pub failures: u32,
    /// Its own view of its part of the world.
    pub detail: serde_json::Value,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorState {
    /// No round has ended yet.
    Pending,
    /// The world is as planned.
    Applied,
    /// Something failed; it is tried again.
    Failed,
}

/// The way to a driven executor.
#[derive(Clone)]
pub struct Handle {
    plans: mpsc::Sender<oneshot::Sender<Result<PlanView, String>>>,
    status: Arc<Mutex<ExecutorStatus>>,
    detail: Detail,
    ended_rounds: watch::Receiver<u64>,
}

impl Handle {
    /// What the executor would do at this moment.
    ///
    /// # Errors
    ///
    /// What kept it from finding out.
    pub async fn plan(&self) -> Result<PlanView, String> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| "the executor has stopped".to_owned();
        self.plans.send(answer).await.map_err(|_| "the executor has stopped".to_owned())?;
        answered.await.map_err(gone)?
    }

    /// Where it stands.
    pub fn status(&self) -> ExecutorStatus {
        let mut status = self.status.lock().clone();
        status.detail = (self.detail)();
        status
    }

    /// Waits for the end of a round, good or bad.
    pub async fn first_round(&self) {
        let mut rounds = self.ended_rounds.clone();
        // The executor's end is the end of waiting, too.
        let _ = rounds.wait_for(|&rounds| rounds > 0).await;
    }
}

/// Starts an executor. `nudges` are further reasons to look again; `stop` turning true ends it.
pub fn start<E: Executor>(
    executor: E,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    nudges: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
) -> (Handle, tokio::task::JoinHandle<()>) {
    let (plans, requests) = mpsc::channel(4);
    let (rounds, ended_rounds) = watch::channel(0);
    let status = Arc::new(Mutex::new(ExecutorStatus {
        name: E::NAME,
        state: ExecutorState::Pending,
        generation: 0,
        last_change: None,
        last_done: Vec::new(),
        notes: Vec::new(),
        errors: Vec::new(),
        failures: 0,
        detail: serde_json::Value::Null,
    }));
    let detail = executor.detail();
    let driven = Driven { executor, snapshots, nudges, stop, requests, status: status.clone(), rounds };
    (Handle { plans, status, detail, ended_rounds }, tokio::spawn(driven.run()))
}

struct Driven<E> {
    executor: E,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    nudges: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    requests: mpsc::Receiver<oneshot::Sender<Result<PlanView, String>>>,
    status: Arc<Mutex<ExecutorStatus>>,
    rounds: watch::Sender<u64>,
}

impl<E: Executor> Driven<E> {
    async fn run(mut self) {
        // A nudger that is gone must not be asked for ever.
        let mut nudged = true;
        'rounds: loop {
            let snapshot = self.snapshots.borrow_and_update().clone();
            self.nudges.borrow_and_update();
            let pause = self.round(&snapshot).await;
            let due = Instant::now() + pause;
            loop {
                tokio::select! {
                    () = stopped(&mut self.stop) => break 'rounds,
                    changed = self.snapshots.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => break 'rounds,
                    },
                    changed = self.nudges.changed(), if nudged => {
                        nudged = changed.is_ok();
                        if nudged { break }
                    }
                    Some(answer) = self.requests.recv() => {
                        let snapshot = self.snapshots.borrow().clone();
                        // Nobody may be waiting any more.
                        let _ = answer.send(self.executor.plan(&snapshot).await);
                    }
                    () = tokio::time::sleep_until(due) => break,
                }
            }
        }
        self.executor.stop().await;
    }

    /// One round; says how long to wait for the next if nothing happens.
    async fn round(&mut self, snapshot: &Arc<Snapshot>) -> Duration {
        let applied = self.executor.apply(snapshot).await;
        for step in &applied.done {
            info!(executor = E::NAME, step, "done");
        }
        let mut status = self.status.lock();
        for error in &applied.errors {
            if !status.errors.contains(error) {
                warn!(executor = E::NAME, error, "failed; tried again later");
            }
        }
        if !applied.done.is_empty() {
            status.last_change = Some(SystemTime::now());
            status.last_done = applied.done;
        }
        status.notes = applied.notes;
        status.failures = if applied.errors.is_empty() { 0 } else { status.failures.saturating_add(1) };
        status.state = if applied.errors.is_empty() { ExecutorState::Applied } else { ExecutorState::Failed };
        if applied.errors.is_empty() {
            status.generation = snapshot.generation;
        }
        status.errors = applied.errors;
        let failures = status.failures;
        drop(status);
        self.rounds.send_modify(|rounds| *rounds += 1);
        if failures == 0 { applied.again_in.unwrap_or(DRIFT_CHECK) } else { backoff(failures) }
    }
}

/// Waits until it is time to stop, or nobody is left who could say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

fn backoff(failures: u32) -> Duration {
    let (first, longest) = APPLY_BACKOFF;
    let pause = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest);
    pause.mul_f64(rand::rng().random_range(0.75..=1.0))
}
