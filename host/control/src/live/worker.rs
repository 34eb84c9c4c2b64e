//! A thread that owns a connection to the database and does one job after the other, so that no async thread blocks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::limits::MAX_QUEUED_JOBS;
use crate::store::{Store, StoreError};

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// A thread with a connection. It ends when the last `Worker` for it is dropped.
#[derive(Clone)]
pub struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts a thread of that name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`] if the system gives no thread.
    pub fn start(name: &str, mut store: Store) -> Result<Self, StoreError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(MAX_QUEUED_JOBS);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                // A transaction that a panic cuts off is rolled back; the connection is good for the next job.
                if catch_unwind(AssertUnwindSafe(|| job(&mut store))).is_err() {
                    error!("a job on the database panicked");
                }
            }
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|source| StoreError::Unreachable { path: name.into(), source })?;
        Ok(Self { jobs })
    }

    /// Runs `job` on the thread. It runs to its end even if the caller goes away.
    ///
    /// # Errors
    ///
    /// [`WorkerError::Busy`] if too many jobs wait; [`WorkerError::Died`] if the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, WorkerError> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move |store: &mut Store| {
            // Whoever asked may be gone.
            let _ = done.send(job(store));
        });
        self.jobs.try_send(job).map_err(|_| WorkerError::Busy)?;
        result.await.map_err(|_| WorkerError::Died)
    }
}

/// Why a job did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// Too many jobs wait.
    #[error("the control plane is busy: try again")]
    Busy,
    /// The job panicked.
    #[error("the control plane failed: see its log")]
    Died,
}
