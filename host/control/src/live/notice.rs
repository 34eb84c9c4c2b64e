//! Looks for what other connections changed, the command line's and our own writer's, and takes it over.

use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, info};

use super::Shared;
use super::worker::Worker;
use crate::limits::{NOTICE_INTERVAL, NOTICE_PAUSE};
use crate::store::Cursor;

/// Looks every [`NOTICE_INTERVAL`], and at once when asked; for ever.
pub(super) async fn follow(shared: &Arc<Shared>, reader: &Worker, mut cursor: Cursor) {
    let mut failing = false;
    let mut due = tokio::time::interval(NOTICE_INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = shared.look.notified() => {}
        }
        let taking = shared.clone();
        let look = reader.run(move |store| {
            let mut cursor = cursor;
            let changes = store.changes_since(&mut cursor)?;
            // On this thread: see the module above.
            changes.into_iter().for_each(|changes| taking.take_over(changes));
            Ok::<_, crate::store::StoreError>(cursor)
        });
        let problem = match look.await {
            Ok(Ok(moved)) => {
                cursor = moved;
                *shared.looked_at.lock() = Instant::now();
                None
            }
            Ok(Err(problem)) => Some(problem.to_string()),
            Err(problem) => Some(problem.to_string()),
        };
        match problem {
            Some(problem) => {
                if !failing {
                    error!(problem, "cannot look for changes; servers keep what they have");
                }
                failing = true;
                due.reset_after(NOTICE_PAUSE);
            }
            None => {
                if failing {
                    info!("changes are seen again");
                }
                failing = false;
            }
        }
    }
}
