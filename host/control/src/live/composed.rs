//! Deltas that lead over several steps to one revision: each made once, whoever asks for it and however many give up, and
//! kept as far as there is room.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use servos_mesh::Revision;
use tokio::sync::Semaphore;

use crate::limits::COMPOSED_AT_A_TIME;

/// None: the whole is no longer.
type Cell = Arc<OnceLock<Option<Bytes>>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Composed {
    /// Bytes that are kept.
    room: usize,
    kept: Mutex<Kept>,
    /// Who composes has a permit.
    making: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the revision that they begin at; among them what is being made.
    cells: HashMap<Revision, Cell>,
    bytes: usize,
}

impl Composed {
    pub(super) fn with_room(room: usize) -> Arc<Self> {
        Arc::new(Self { room, kept: Mutex::default(), making: Arc::new(Semaphore::new(COMPOSED_AT_A_TIME)) })
    }

    /// The delta that begins at `base`. `make` makes it if nobody did, and runs to its end even if the caller goes away.
    pub(super) async fn get(
        self: &Arc<Self>,
        base: Revision,
        make: impl FnOnce() -> Option<Bytes> + Send + 'static,
    ) -> Option<Bytes> {
        let cell = self.kept.lock().cells.entry(base).or_default().clone();
        if let Some(made) = cell.get() {
            return made.clone();
        }
        let permit = self.making.clone().acquire_owned().await.ok()?;
        // A remembered chain may hold some hundred thousand servers: not on a thread that others wait for.
        let composed = self.clone();
        let making = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let made = cell.get_or_init(|| {
                let made = make();
                composed.keep(base, made.as_ref().map_or(0, Bytes::len));
                made
            });
            made.clone()
        });
        making.await.ok().flatten()
    }

    fn keep(&self, base: Revision, bytes: usize) {
        let mut kept = self.kept.lock();
        if kept.bytes + bytes <= self.room {
            kept.bytes += bytes;
        } else {
            kept.cells.remove(&base);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, mpsc};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn whoever_gives_up_leaves_what_is_being_made_to_the_next() {
        let composed = Composed::with_room(5);
        let made = Arc::new(AtomicUsize::new(0));
        let count = |made: &AtomicUsize| {
            made.fetch_add(1, Ordering::SeqCst);
            Some(Bytes::from_static(b"delta"))
        };
        let (begun, begins) = oneshot::channel();
        let (let_go, held) = mpsc::channel();
        let first = tokio::spawn({
            let (composed, made) = (composed.clone(), made.clone());
            async move {
                let make = move || {
                    begun.send(()).unwrap();
                    held.recv().unwrap();
                    count(&made)
                };
                composed.get(Revision(1), make).await
            }
        });
        begins.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let_go.send(()).unwrap();

        let second = {
            let made = made.clone();
            composed.get(Revision(1), move || count(&made)).await
        };

        assert_eq!(second.unwrap(), "delta");
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_few_are_made_at_a_time() {
        let composed = Composed::with_room(0);
        // Each waits for so many, and is counted until all of them were.
        let barrier = Arc::new(Barrier::new(COMPOSED_AT_A_TIME));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let askers: Vec<_> = (0..8 * COMPOSED_AT_A_TIME as u64)
            .map(|base| {
                let (composed, barrier) = (composed.clone(), barrier.clone());
                let (running, most) = (running.clone(), most.clone());
                let make = move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    barrier.wait();
                    running.fetch_sub(1, Ordering::SeqCst);
                    None
                };
                tokio::spawn(async move { composed.get(Revision(base), make).await })
            })
            .collect();
        for asker in askers {
            assert!(asker.await.unwrap().is_none());
        }
        assert_eq!(most.load(Ordering::SeqCst), COMPOSED_AT_A_TIME);
    }
}
