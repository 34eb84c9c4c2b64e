//! Deltas that lead over several steps to one revision: each made once, whoever asks for it and however many give up.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use servos_mesh::Revision;

/// None: the whole is no longer.
type Cell = Arc<OnceLock<Option<Bytes>>>;

/// See the module. By the revision that they begin at.
#[derive(Debug, Default)]
pub(super) struct Composed(Mutex<HashMap<Revision, Cell>>);

impl Composed {
    /// The delta that begins at `base`. `make` makes it if nobody did, and runs to its end even if the caller goes away.
    pub(super) async fn get(
        &self,
        base: Revision,
        make: impl FnOnce() -> Option<Bytes> + Send + 'static,
    ) -> Option<Bytes> {
        let cell = self.0.lock().entry(base).or_default().clone();
        if let Some(made) = cell.get() {
            return made.clone();
        }
        // A remembered chain may hold some hundred thousand servers: not on a thread that others wait for.
        let making = tokio::task::spawn_blocking(move || cell.get_or_init(make).clone());
        making.await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn whoever_gives_up_leaves_what_is_being_made_to_the_next() {
        let composed = Arc::new(Composed::default());
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
}
