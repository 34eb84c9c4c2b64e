//! Rotation of this server's key: makes the next one, tells the control plane, answers both while the mesh follows, and
//! erases the one before.
//!
//! It is driven by what is true, not by what was done: the key that this server's record in the mesh has, and the files
//! (`key_files`); `key_due` says what follows from that. So it goes on from wherever the agent was killed, and a control
//! plane that was restored from a backup is told the key again. The key before is erased only while the mesh has the
//! next.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use servos_mesh::{PeerTable, PublicKey};
use servos_tunnel::{OwnKeys, PrivateKey};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::clock::{Clock, Now};
use crate::control_client::{ControlError, Publish};
use crate::error_chain::chain;
use crate::identity::IdentityError;
use crate::key_due::{Due, Facts, NotBefore, Stage, due};
use crate::key_files::{self, Next, Rotation};
use crate::key_ring::KeyRing;
use crate::limits::{KEY_TRANSITION, REFUSED_ROTATION_PAUSE, ROTATE_KEY_JITTER, ROTATION_CHECK};
use crate::paths::Paths;
use crate::poll::pause_after;
use crate::rotation_handle::{KeyStatus, Phase, Request, RotationError, RotationHandle, RotationStatus};
use crate::taken_back::TakenBack;

/// Rotates the key when asked, and goes on with a rotation that an agent before began.
pub struct KeyRotation<P> {
    paths: Paths,
    control: P,
    keys: Arc<KeyRing>,
    table: watch::Receiver<Arc<PeerTable>>,
    requests: mpsc::Receiver<Request>,
    status: watch::Sender<KeyStatus>,
    clock: Clock,
    under_way: Option<UnderWay>,
    not_before: NotBefore,
    taken_back: TakenBack,
    /// Attempts that failed in a row, and the last one's reason.
    failures: u32,
    problem: Option<String>,
    /// Interval of rotations by themselves.
    every: Option<Duration>,
}

struct UnderWay {
    before: PrivateKey,
    next: Next,
    stage: Stage,
}

impl UnderWay {
    fn status(&self, now: Now) -> RotationStatus {
        let (phase, until) = match self.stage {
            Stage::Publishing => (Phase::Publishing, None),
            Stage::Transition { ends, .. } => (Phase::Transition, Some(now.wall + ends.saturating_sub(now.boot))),
        };
        RotationStatus {
            phase,
            previous_key: self.before.public_key(),
            next_key: self.next.key.public_key(),
            since: self.next.rotation.begun(),
            until,
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

impl<P: Publish> KeyRotation<P> {
    /// Nothing is done before it runs. `before` is what `private-key` holds; `next` what [`key_files::load`] found.
    pub fn new(
        paths: Paths,
        control: P,
        keys: Arc<KeyRing>,
        table: watch::Receiver<Arc<PeerTable>>,
        (before, next): (PrivateKey, Option<Next>),
        every: Option<Duration>,
        clock: Clock,
    ) -> (Self, RotationHandle) {
        let (sender, requests) = mpsc::channel(4);
        let (status, looks) = watch::channel(KeyStatus::default());
        let now = clock();
        let under_way = next.map(|next| {
            let left = next.rotation.left(now.wall);
            let stage = left.map_or(Stage::Publishing, |left| Stage::Transition { ends: now.boot + left, kept: true });
            UnderWay { before, next, stage }
        });
        // Each at a time of its own, also after a restart of all.
        let every = every.map(|every| every.mul_f64(1.0 + ROTATE_KEY_JITTER * rand::rng().random::<f64>()));
        let rotation = Self {
            paths,
            control,
            keys,
            table,
            requests,
            status,
            clock,
            under_way,
            not_before: NotBefore::default(),
            taken_back: TakenBack::default(),
            failures: 0,
            problem: None,
            every,
        };
        rotation.tell();
        (rotation, RotationHandle::new(sender, looks))
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
        let now = (self.clock)();
        self.look_for_copies(record, now);
        match due(&self.facts(record, now)) {
            Due::Nothing(pause) => {
                self.went_well();
                pause
            }
            Due::Later(pause) => pause,
            Due::Publish(key) => self.publish(key).await,
            Due::Adopt => self.adopt(now),
            Due::Keep => self.keep().await,
            Due::End => match self.end().await {
                Ok(_) => Duration::ZERO,
                Err(error) => self.not_written(&error),
            },
            Due::Begin => self.begin_by_itself().await,
        }
    }

    fn look_for_copies(&mut self, record: Option<PublicKey>, now: Now) {
        let Some(record) = record else { return };
        if self.taken_back.observe(record, self.newest(), now.boot) {
            warn!(key = %record, ours = %self.newest(), "the mesh had this server's key and has another");
        }
    }

    fn facts(&self, record: Option<PublicKey>, now: Now) -> Facts {
        let stage = self.under_way.as_ref().map(|under_way| under_way.stage);
        let every = self.every.filter(|_| stage.is_none());
        let old_at = every.map(|every| now.boot + every.saturating_sub(self.age(now)));
        Facts { now: now.boot, record, newest: self.newest(), stage, old_at, not_before: self.not_before }
    }

    /// The key that the mesh should have.
    fn newest(&self) -> PublicKey {
        match &self.under_way {
            Some(under_way) => under_way.next.key.public_key(),
            None => self.keys.public_key(),
        }
    }

    /// Age of the key. Where no time can be read it is not known to be old.
    fn age(&self, now: Now) -> Duration {
        let made = std::fs::metadata(self.paths.private_key()).and_then(|file| file.modified());
        made.ok().and_then(|made| now.wall.duration_since(made).ok()).unwrap_or_default()
    }

    /// Tells the control plane the key; the mesh state that follows says that it took it.
    async fn publish(&mut self, key: PublicKey) -> Duration {
        info!(%key, "telling the control plane this server's key");
        match self.control.publish_key(key).await {
            Ok(()) => self.told(),
            Err(error) => self.not_told(&error),
        }
    }

    /// The mesh has the next key: it is the present one from here on, and the one before goes when its time is up.
    fn adopt(&mut self, now: Now) -> Duration {
        if let Some(under_way) = &mut self.under_way {
            let (before, next) = (under_way.before.clone(), under_way.next.key.clone());
            info!(previous = %before.public_key(), key = %next.public_key(), "the mesh has this server's next key");
            self.keys.set(OwnKeys { present: next, other: Some(before) });
            let rotation = &mut under_way.next.rotation;
            rotation.see(now.wall);
            under_way.stage = Stage::Transition { ends: now.boot + rotation.transition(), kept: false };
        }
        Duration::ZERO
    }

    /// Writes down that the mesh has the next key.
    async fn keep(&mut self) -> Duration {
        let Some(under_way) = &self.under_way else { return Duration::ZERO };
        let rotation = under_way.next.rotation;
        if let Err(error) = self.on_disk(move |paths| key_files::keep(paths, &rotation)).await {
            return self.not_written(&error);
        }
        if let Some(UnderWay { stage: Stage::Transition { kept, .. }, .. }) = &mut self.under_way {
            *kept = true;
        }
        Duration::ZERO
    }

    /// Erases the key before: on disk first, since the next is in the mesh.
    async fn end(&mut self) -> Result<PublicKey, IdentityError> {
        let Some(under_way) = &self.under_way else { return Ok(self.keys.public_key()) };
        let next = under_way.next.key.clone();
        let written = next.clone();
        self.on_disk(move |paths| key_files::finish(paths, &written)).await?;
        let key = next.public_key();
        self.keys.set(next.into());
        self.under_way = None;
        info!(%key, "rotation of the key ended: the one before is erased and not answered any more");
        Ok(key)
    }

    async fn begin_by_itself(&mut self) -> Duration {
        match self.begin(KEY_TRANSITION).await {
            Ok(_) => Duration::ZERO,
            Err(error) => {
                let paced = self.failed(chain(&error), None);
                let is_refused = matches!(error, RotationError::Refused(_));
                let pause = if is_refused { REFUSED_ROTATION_PAUSE } else { paced };
                self.not_before.begin = (self.clock)().boot + pause;
                pause
            }
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
                let finished = self.finish().await;
                self.tell();
                let _ = answer.send(finished);
            }
        }
    }

    async fn begin(&mut self, transition: Duration) -> Result<RotationStatus, RotationError> {
        let now = (self.clock)();
        if let Some(under_way) = &self.under_way {
            return Err(RotationError::UnderWay(Box::new(under_way.status(now))));
        }
        if self.table.borrow().own().is_none() {
            return Err(RotationError::NoMesh);
        }
        let before = self.keys.held().present;
        let next = Next { key: PrivateKey::generate(), rotation: Rotation::begin(now.wall, transition) };
        let written = next.clone();
        if let Err(error) = self.on_disk(move |paths| key_files::begin(paths, &written)).await {
            // What was written of it is cleared away at the next start, if not here.
            let _ = self.on_disk(key_files::clear).await;
            return Err(error.into());
        }
        // Answered before anybody can know it.
        self.keys.set(OwnKeys { present: before.clone(), other: Some(next.key.clone()) });
        let key = next.key.public_key();
        info!(previous = %before.public_key(), %key, "rotation of the key began");
        match self.control.publish_key(key).await {
            Ok(()) => drop(self.told()),
            Err(error) if error.is_final() => {
                self.keys.set(before.into());
                self.on_disk(key_files::clear).await?;
                return Err(error.into());
            }
            // It may have been taken; the rotation goes on.
            Err(error) => drop(self.not_told(&error)),
        }
        let under_way = UnderWay { before, next, stage: Stage::Publishing };
        let status = under_way.status(now);
        self.under_way = Some(under_way);
        Ok(status)
    }

    async fn finish(&mut self) -> Result<PublicKey, RotationError> {
        let Some(under_way) = &self.under_way else { return Err(RotationError::NotUnderWay) };
        let next = under_way.next.key.public_key();
        if self.table.borrow().own().is_none_or(|own| *own.public_key() != next) {
            return Err(RotationError::NotInMesh);
        }
        Ok(self.end().await?)
    }

    /// Works on the files, away from the threads that others wait for.
    async fn on_disk(
        &self,
        work: impl FnOnce(&Paths) -> Result<(), IdentityError> + Send + 'static,
    ) -> Result<(), IdentityError> {
        let paths = self.paths.clone();
        let worked = spawn_blocking(move || work(&paths)).await;
        worked
            .unwrap_or_else(|error| Err(IdentityError::Write { path: self.paths.state.clone(), source: error.into() }))
    }

    fn told(&mut self) -> Duration {
        self.went_well();
        let pause = self.taken_back.pause();
        self.not_before.publish = (self.clock)().boot + pause;
        pause
    }

    fn not_told(&mut self, error: &ControlError) -> Duration {
        let pause = self.failed(chain(error), error.retry_after());
        self.not_before.publish = (self.clock)().boot + pause;
        pause
    }

    fn not_written(&mut self, error: &IdentityError) -> Duration {
        let pause = self.failed(chain(error), None);
        self.not_before.write = (self.clock)().boot + pause;
        pause
    }

    fn went_well(&mut self) {
        (self.failures, self.problem) = (0, None);
    }

    fn failed(&mut self, problem: String, retry_after: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.problem.as_deref() != Some(&problem) {
            warn!(problem, "the rotation of the key is held up; tried again");
        }
        self.problem = Some(problem);
        pause_after(self.failures, retry_after)
    }

    fn tell(&self) {
        let now = (self.clock)();
        let rotation = self.under_way.as_ref().map(|under_way| under_way.status(now));
        let problem = self.problem.clone().or_else(|| self.taken_back.problem());
        self.status.send_replace(KeyStatus { rotation, problem });
    }
}
