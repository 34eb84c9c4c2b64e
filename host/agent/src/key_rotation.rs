//! Rotation of this server's key: makes the next one, tells the control plane, answers both while the mesh follows, and
//! erases the one before.
//!
//! It is driven by what is true, not by what was done: the key that this server's record in the mesh has, and the files
//! (`key_files`). So it goes on from wherever the agent was killed, and a control plane that was restored from a backup
//! is told the key again. The key before is erased only while the mesh has the next.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rand::Rng;
use serde::Serialize;
use servos_mesh::{PeerTable, PublicKey, timestamp};
use servos_tunnel::{OwnKeys, PrivateKey};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::block_in_place;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::control_client::{ControlClient, ControlError};
use crate::identity::IdentityError;
use crate::key_files::{self, Next, Rotation};
use crate::key_ring::KeyRing;
use crate::limits::{KEY_TRANSITION, PUBLISH_KEY_AGAIN, ROTATE_KEY_JITTER, ROTATION_CHECK};
use crate::paths::Paths;
use crate::poll::{chain, pause_after};

/// What `status` says of the key.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeyStatus {
    /// The rotation that is under way.
    pub rotation: Option<RotationStatus>,
    /// What stands in its way; tried again.
    pub problem: Option<String>,
}

/// A rotation that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RotationStatus {
    /// How far it is.
    pub phase: Phase,
    /// The key before.
    pub previous_key: PublicKey,
    /// The key to come.
    pub next_key: PublicKey,
    /// When it began. Both keys are answered since.
    #[serde(serialize_with = "timestamp::serialize")]
    pub since: SystemTime,
    /// When the key before is erased; none before the mesh has the next.
    #[serde(serialize_with = "timestamp::serialize")]
    pub until: Option<SystemTime>,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The control plane is told the next key.
    Publishing,
    /// The mesh has the next key; who has not heard of it is answered under the one before.
    Transition,
}

/// The way to the rotation.
#[derive(Clone)]
pub struct RotationHandle {
    requests: mpsc::Sender<Request>,
    status: Arc<Mutex<KeyStatus>>,
}

enum Request {
    Begin(Duration, oneshot::Sender<Result<RotationStatus, RotationError>>),
    Finish(oneshot::Sender<Result<PublicKey, RotationError>>),
}

impl RotationHandle {
    /// What `status` says.
    pub fn status(&self) -> KeyStatus {
        self.status.lock().clone()
    }

    /// Begins a rotation. Comes back when both keys are answered and the control plane was told once, or tried to be.
    ///
    /// # Errors
    ///
    /// [`RotationError`]; nothing is under way then that was not before.
    pub async fn begin(&self, transition: Duration) -> Result<RotationStatus, RotationError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(Request::Begin(transition, answer)).await;
        sent.map_err(|_| RotationError::Stopped)?;
        answered.await.map_err(|_| RotationError::Stopped)?
    }

    /// Ends the transition at once; the present key comes back.
    ///
    /// # Errors
    ///
    /// [`RotationError`]; both keys are answered as before.
    pub async fn finish(&self) -> Result<PublicKey, RotationError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Finish(answer)).await.map_err(|_| RotationError::Stopped)?;
        answered.await.map_err(|_| RotationError::Stopped)?
    }
}

/// Rotates the key when asked, and goes on with a rotation that an agent before began.
pub struct KeyRotation {
    paths: Paths,
    client: ControlClient,
    keys: Arc<KeyRing>,
    table: watch::Receiver<Arc<PeerTable>>,
    requests: mpsc::Receiver<Request>,
    status: Arc<Mutex<KeyStatus>>,
    under_way: Option<UnderWay>,
    /// Attempts that failed in a row.
    failures: u32,
    /// The control plane is not asked before.
    ask_at: Instant,
    /// Interval of rotations by themselves.
    every: Option<Duration>,
}

struct UnderWay {
    before: PrivateKey,
    next: Next,
}

impl UnderWay {
    fn status(&self) -> RotationStatus {
        let rotation = &self.next.rotation;
        RotationStatus {
            phase: if rotation.is_seen() { Phase::Transition } else { Phase::Publishing },
            previous_key: self.before.public_key(),
            next_key: self.next.key.public_key(),
            since: rotation.begun(),
            until: rotation.ends(),
        }
    }
}

/// The keys that an agent starts with: what `private-key` holds, and what a rotation that is under way has beside it.
pub fn first_keys(before: PrivateKey, next: Option<&Next>) -> OwnKeys {
    match next {
        None => before.into(),
        Some(next) if next.rotation.is_seen() => OwnKeys { present: next.key.clone(), other: Some(before) },
        Some(next) => OwnKeys { present: before, other: Some(next.key.clone()) },
    }
}

impl KeyRotation {
    /// Nothing is done before it runs. `before` is what `private-key` holds; `next` what [`key_files::load`] found.
    pub fn new(
        paths: Paths,
        client: ControlClient,
        keys: Arc<KeyRing>,
        table: watch::Receiver<Arc<PeerTable>>,
        (before, next): (PrivateKey, Option<Next>),
        every: Option<Duration>,
    ) -> (Self, RotationHandle) {
        let (sender, requests) = mpsc::channel(4);
        let status = Arc::new(Mutex::new(KeyStatus::default()));
        let handle = RotationHandle { requests: sender, status: status.clone() };
        let under_way = next.map(|next| UnderWay { before, next });
        // Each at a time of its own, also after a restart of all.
        let every = every.map(|every| every.mul_f64(1.0 + ROTATE_KEY_JITTER * rand::rng().random::<f64>()));
        let (failures, ask_at) = (0, Instant::now());
        let rotation = Self { paths, client, keys, table, requests, status, under_way, failures, ask_at, every };
        rotation.tell();
        (rotation, handle)
    }

    /// Never returns while somebody may ask; drop it to stop.
    pub async fn run(mut self) {
        loop {
            let pause = self.step().await.min(ROTATION_CHECK);
            self.tell();
            tokio::select! {
                changed = self.table.changed() => if changed.is_err() { return },
                request = self.requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Does what is due; how long there is nothing to do if nothing happens.
    async fn step(&mut self) -> Duration {
        let record = self.table.borrow_and_update().own().map(|own| *own.public_key());
        let newest = self.newest();
        match record {
            // No mesh state yet.
            None => ROTATION_CHECK,
            Some(key) if key != newest => self.publish(newest).await,
            Some(_) if self.under_way.is_some() => self.advance(),
            Some(_) => self.begin_if_due().await,
        }
    }

    /// The key that the mesh should have.
    fn newest(&self) -> PublicKey {
        match &self.under_way {
            Some(under_way) => under_way.next.key.public_key(),
            None => self.keys.public_key(),
        }
    }

    /// Tells the control plane the key; the mesh state that follows says that it took it.
    async fn publish(&mut self, key: PublicKey) -> Duration {
        let pause = self.ask_at.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            return pause;
        }
        info!(%key, "telling the control plane this server's key");
        match self.client.publish_key(key).await {
            Ok(()) => self.told(),
            Err(error) => self.failed(chain(&error), error.retry_after()),
        }
    }

    /// The mesh has the next key: it is the present one, and the one before goes when its time is up.
    fn advance(&mut self) -> Duration {
        let Some(under_way) = &mut self.under_way else { return ROTATION_CHECK };
        let now = SystemTime::now();
        if !under_way.next.rotation.is_seen() {
            let (before, next) = (under_way.before.clone(), under_way.next.key.clone());
            info!(previous = %before.public_key(), key = %next.public_key(), "the mesh has this server's next key");
            self.keys.set(OwnKeys { present: next, other: Some(before) });
            let mut rotation = under_way.next.rotation;
            rotation.see(now);
            if let Err(error) = block_in_place(|| key_files::keep(&self.paths, &rotation)) {
                return self.failed(chain(&error), None);
            }
            under_way.next.rotation = rotation;
        }
        let left = under_way.next.rotation.left(now).unwrap_or(ROTATION_CHECK);
        if left.is_zero()
            && let Err(error) = self.end()
        {
            return self.failed(chain(&error), None);
        }
        self.went_well();
        left
    }

    /// Erases the key before: on disk first, since the next is in the mesh.
    fn end(&mut self) -> Result<PublicKey, IdentityError> {
        let Some(under_way) = &self.under_way else { return Ok(self.keys.public_key()) };
        let next = under_way.next.key.clone();
        block_in_place(|| key_files::finish(&self.paths, &next))?;
        let key = next.public_key();
        self.keys.set(next.into());
        self.under_way = None;
        info!(%key, "rotation of the key ended: the one before is erased and not answered any more");
        Ok(key)
    }

    async fn begin_if_due(&mut self) -> Duration {
        let Some(every) = self.every else {
            self.went_well();
            return ROTATION_CHECK;
        };
        let pause = self.ask_at.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            return pause;
        }
        let made = std::fs::metadata(self.paths.private_key()).and_then(|file| file.modified());
        // Without a time that can be read it is not known to be due.
        let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok()).unwrap_or_default();
        let left = every.saturating_sub(age);
        if !left.is_zero() {
            self.went_well();
            return left;
        }
        match self.begin(KEY_TRANSITION).await {
            Ok(_) => PUBLISH_KEY_AGAIN,
            Err(error) => self.failed(chain(&error), None),
        }
    }

    async fn answer(&mut self, request: Request) {
        // Whoever asked may be gone.
        match request {
            Request::Begin(transition, answer) => {
                let begun = self.begin(transition).await;
                self.tell();
                let _ = answer.send(begun);
            }
            Request::Finish(answer) => {
                let finished = self.finish();
                self.tell();
                let _ = answer.send(finished);
            }
        }
    }

    async fn begin(&mut self, transition: Duration) -> Result<RotationStatus, RotationError> {
        if let Some(under_way) = &self.under_way {
            return Err(RotationError::UnderWay(Box::new(under_way.status())));
        }
        if self.table.borrow().own().is_none() {
            return Err(RotationError::NoMesh);
        }
        let before = self.keys.present();
        let next = Next { key: PrivateKey::generate(), rotation: Rotation::begin(SystemTime::now(), transition) };
        if let Err(error) = block_in_place(|| key_files::begin(&self.paths, &next)) {
            // What was written of it is cleared away at the next start, if not here.
            let _ = block_in_place(|| key_files::clear(&self.paths));
            return Err(error.into());
        }
        // Answered before anybody can know it.
        self.keys.set(OwnKeys { present: before.clone(), other: Some(next.key.clone()) });
        let key = next.key.public_key();
        info!(previous = %before.public_key(), %key, "rotation of the key began");
        match self.client.publish_key(key).await {
            Ok(()) => drop(self.told()),
            Err(error) if error.is_final() => {
                self.keys.set(before.into());
                block_in_place(|| key_files::clear(&self.paths))?;
                return Err(error.into());
            }
            // It may have been taken; the rotation goes on.
            Err(error) => drop(self.failed(chain(&error), error.retry_after())),
        }
        let under_way = UnderWay { before, next };
        let status = under_way.status();
        self.under_way = Some(under_way);
        Ok(status)
    }

    fn finish(&mut self) -> Result<PublicKey, RotationError> {
        let Some(under_way) = &self.under_way else { return Err(RotationError::NotUnderWay) };
        let next = under_way.next.key.public_key();
        if self.table.borrow().own().is_none_or(|own| *own.public_key() != next) {
            return Err(RotationError::NotInMesh);
        }
        Ok(self.end()?)
    }

    fn told(&mut self) -> Duration {
        self.went_well();
        self.ask_at = Instant::now() + PUBLISH_KEY_AGAIN;
        PUBLISH_KEY_AGAIN
    }

    fn went_well(&mut self) {
        self.failures = 0;
        self.status.lock().problem = None;
    }

    fn failed(&mut self, problem: String, retry_after: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let mut status = self.status.lock();
        if status.problem.as_deref() != Some(&problem) {
            warn!(problem, "the rotation of the key is held up; tried again");
        }
        status.problem = Some(problem);
        let pause = pause_after(self.failures, retry_after);
        self.ask_at = Instant::now() + pause;
        pause
    }

    fn tell(&self) {
        self.status.lock().rotation = self.under_way.as_ref().map(UnderWay::status);
    }
}

/// Why a rotation does not begin, or does not end.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// One at a time.
    #[error(
        "a rotation is under way since {}{}",
        humantime::format_rfc3339_seconds(.0.since),
        .0.until.map_or(
            " and the mesh does not have the next key yet: it goes on by itself, `servos-agent status` says what holds \
             it up".to_owned(),
            |until| format!(
                ": the key before is answered until {}; `servos-agent rotate-key --finish` ends that at once",
                humantime::format_rfc3339_seconds(until)
            )
        )
    )]
    UnderWay(Box<RotationStatus>),
    /// There is nothing to finish.
    #[error("no rotation is under way: `servos-agent rotate-key` begins one")]
    NotUnderWay,
    /// The key before is the only one that peers know.
    #[error(
        "the mesh does not have the next key yet, and the one before cannot be given up: the rotation goes on by \
         itself, `servos-agent status` says what holds it up"
    )]
    NotInMesh,
    /// It is not known which key the mesh has.
    #[error("this server has no mesh state yet: see `servos-agent status`, and try again")]
    NoMesh,
    /// The control plane says no.
    #[error("the key stays as it is")]
    Refused(#[from] ControlError),
    /// A file.
    #[error("the keys cannot be kept")]
    Files(#[from] IdentityError),
    /// The agent is ending.
    #[error("the agent is ending")]
    Stopped,
}

impl RotationError {
    /// Whether the request does not fit what is under way, and nothing failed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::UnderWay(_) | Self::NotUnderWay | Self::NotInMesh | Self::NoMesh)
    }
}
