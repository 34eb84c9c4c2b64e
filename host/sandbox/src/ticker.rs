//! The clock of the deadlines: one thread that raises the engine's epoch while calls are under way, and sleeps otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use wasmtime::EngineWeak;

use crate::limits::{EPOCH_TICK, TICKER_IDLE};

/// Raises the epoch of one engine. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Calls under way.
    running: AtomicUsize,
    /// The thread sleeps until it is woken.
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// A call under way: the clock runs at least until this is dropped.
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system's, if it gives no thread.
    pub fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        let thread = std::thread::Builder::new().name("plugin-deadline".into()).spawn(move || run(&engine, &seen))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Announces a call.
    pub fn running(&self) -> Running<'_> {
        // Pairs with `sleep_until_called`: either this sees `asleep`, or that sees `running`.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the runtime.
            let _ = thread.join();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn run(engine: &EngineWeak, shared: &Shared) {
    let mut last_call = Instant::now();
    let mut last_tick = Instant::now();
    while !shared.stop.load(Ordering::SeqCst) {
        let Some(engine) = engine.upgrade() else { return };
        if shared.running.load(Ordering::SeqCst) > 0 {
            last_call = Instant::now();
        } else if last_call.elapsed() > TICKER_IDLE {
            drop(engine);
            sleep_until_called(shared);
            last_call = Instant::now();
            last_tick = Instant::now();
            continue;
        }
        if last_tick.elapsed() >= EPOCH_TICK {
            engine.increment_epoch();
            last_tick = Instant::now();
        }
        drop(engine);
        std::thread::park_timeout(EPOCH_TICK.saturating_sub(last_tick.elapsed()));
    }
}

fn sleep_until_called(shared: &Shared) {
    shared.asleep.store(true, Ordering::SeqCst);
    while shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
        std::thread::park();
    }
    shared.asleep.store(false, Ordering::SeqCst);
}
