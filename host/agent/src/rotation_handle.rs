//! The rotation of this server's key, as those see it who ask: what is under way, the orders, and why one is refused.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use servos_mesh::{PublicKey, timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use crate::control_client::ControlError;
use crate::identity::IdentityError;

/// What `status` says of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
    status: watch::Receiver<KeyStatus>,
}

/// What the rotation is asked to do.
pub(crate) enum Request {
    /// Begin, with a transition of that length.
    Begin(Duration, oneshot::Sender<Result<RotationStatus, RotationError>>),
    /// End the transition; the present key is the answer.
    Finish(oneshot::Sender<Result<PublicKey, RotationError>>),
}

impl RotationHandle {
    pub(crate) fn new(requests: mpsc::Sender<Request>, status: watch::Receiver<KeyStatus>) -> Self {
        Self { requests, status }
    }

    /// What `status` says.
    pub fn status(&self) -> KeyStatus {
        self.status.borrow().clone()
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

    /// Waits until the mesh has that key, which a rotation of this agent made; false if the agent ends before.
    pub async fn in_mesh(&self, next_key: PublicKey) -> bool {
        let is_told = |rotation: &RotationStatus| rotation.next_key == next_key && rotation.phase == Phase::Publishing;
        self.status.clone().wait_for(|status| !status.rotation.as_ref().is_some_and(is_told)).await.is_ok()
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
