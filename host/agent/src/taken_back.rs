//! Whether somebody else takes this server's record in the mesh: a copy of the server (of a virtual machine, say) has its
//! credential, and tells the control plane a key of its own whenever this one told its.
//!
//! Once is a control plane that was restored from a backup. Who is taken back again and again tells its key later each
//! time, so that two of them do not make the whole mesh follow every half minute, and says so.

use std::time::Duration;

use servos_mesh::PublicKey;

use crate::limits::{MAX_PUBLISH_DOUBLINGS, PUBLISH_KEY_AGAIN, TAKEN_BACK_FORGOTTEN};

/// See the module. Points in time are since boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct TakenBack {
    /// Our key, while the mesh has it.
    had: Option<PublicKey>,
    times: u32,
    last: Option<(Duration, PublicKey)>,
}

impl TakenBack {
    /// Notes the key that this server has in the mesh, `ours` being what it should be; whether that was taken back.
    pub fn observe(&mut self, record: PublicKey, ours: PublicKey, now: Duration) -> bool {
        if self.last.is_some_and(|(at, _)| now.saturating_sub(at) >= TAKEN_BACK_FORGOTTEN) {
            (self.times, self.last) = (0, None);
        }
        if record == ours {
            self.had = Some(ours);
            return false;
        }
        // A key that the mesh has not had yet was not taken back.
        let taken = self.had.take() == Some(ours);
        if taken {
            self.times = self.times.saturating_add(1);
            self.last = Some((now, record));
        }
        taken
    }

    /// How long our key is not told again after it was told.
    pub fn pause(&self) -> Duration {
        PUBLISH_KEY_AGAIN * (1 << self.times.min(MAX_PUBLISH_DOUBLINGS))
    }

    /// What `status` says of it.
    pub fn problem(&self) -> Option<String> {
        let (_, key) = self.last.filter(|_| self.times >= 2)?;
        Some(format!(
            "the mesh had key {key} for this server {} times, which is not ours: does a copy of it run? It is told ours \
             again, later each time",
            self.times
        ))
    }
}
