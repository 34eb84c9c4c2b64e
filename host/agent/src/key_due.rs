//! What is due with this server's key: decided from what is true, without a clock, a file or a socket.
//!
//! Points in time are since boot.

use std::time::Duration;

use servos_mesh::PublicKey;

use crate::limits::ROTATION_CHECK;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing, for so long if nothing happens: all is as it should be.
    Nothing(Duration),
    /// Something, and not before so long.
    Later(Duration),
    /// The control plane is told the key.
    Publish(PublicKey),
    /// The mesh has the next key, which becomes the present one.
    Adopt,
    /// That the mesh has it is written down.
    Keep,
    /// The transition is over: the key before is erased.
    End,
    /// The key is so old that another is made.
    Begin,
}

/// What it is decided from.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The present moment.
    pub now: Duration,
    /// The key that this server has in the mesh; none without a mesh state.
    pub record: Option<PublicKey>,
    /// The key that it should have there.
    pub newest: PublicKey,
    /// How far the rotation is that is under way.
    pub stage: Option<Stage>,
    /// When the key is so old that another is made; none if it never is.
    pub old_at: Option<Duration>,
    /// What is not done before when.
    pub not_before: NotBefore,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The mesh did not have the next key yet.
    Publishing,
    /// It had.
    Transition {
        /// When the key before is erased.
        ends: Duration,
        /// Whether the files say so.
        kept: bool,
    },
}

/// What is not done before when, since it was done or tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotBefore {
    /// The control plane is not told.
    pub publish: Duration,
    /// Files are not written.
    pub write: Duration,
    /// No rotation begins by itself.
    pub begin: Duration,
}

/// Decides.
pub fn due(facts: &Facts) -> Due {
    let Some(record) = facts.record else { return Due::Later(ROTATION_CHECK) };
    let NotBefore { publish, write, begin } = facts.not_before;
    if record != facts.newest {
        return facts.when(publish, Due::Publish(facts.newest));
    }
    match (facts.stage, facts.old_at) {
        (Some(Stage::Publishing), _) => Due::Adopt,
        (Some(Stage::Transition { ends, .. }), _) if ends <= facts.now => facts.when(write, Due::End),
        // If the transition is over by then, it ends.
        (Some(Stage::Transition { kept: false, .. }), _) => facts.when(write, Due::Keep),
        (Some(Stage::Transition { ends, kept: true }), _) => Due::Nothing(ends - facts.now),
        (None, None) => Due::Nothing(ROTATION_CHECK),
        (None, Some(old_at)) if old_at <= facts.now => facts.when(begin, Due::Begin),
        (None, Some(old_at)) => Due::Nothing(old_at - facts.now),
    }
}

impl Facts {
    /// `due` from `at` on.
    fn when(&self, at: Duration, due: Due) -> Due {
        let left = at.saturating_sub(self.now);
        if left.is_zero() { due } else { Due::Later(left) }
    }
}
