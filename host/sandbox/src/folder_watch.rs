//! Watches the plugin folder, which need not exist yet, and has the host read it again when it comes to rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use crate::limits::{FOLDER_PATIENCE, FOLDER_QUIET, FOLDER_RETRY};
use crate::{PluginHost, SandboxError};

/// Watches until it is dropped.
#[derive(Debug)]
pub struct FolderWatch {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl FolderWatch {
    pub(crate) fn start(host: Arc<PluginHost>, folder: PathBuf) -> Result<Self, SandboxError> {
        // One place: a change that is not yet looked at covers all that follow it.
        let (wake, changed) = sync_channel(1);
        let (sender, watched) = (wake.clone(), folder.clone());
        let handler = move |event: notify::Result<Event>| {
            if concerns(&event, &watched) {
                // Full: the folder is about to be read anyway.
                let _ = sender.try_send(());
            }
        };
        let failed = |source| SandboxError::Watch { folder: folder.clone(), source };
        let watcher = notify::recommended_watcher(handler).map_err(failed)?;
        let mut watches = Watches { watcher, folder: folder.clone(), paths: Vec::new() };
        watches.renew().map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || run(&host, &mut watches, &changed, &stopped);
        let thread = std::thread::Builder::new().name("plugin-folder".into()).spawn(run);
        Ok(Self { stop, wake, thread: Some(thread.map_err(SandboxError::Thread)?) })
    }
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Full: it is awake already.
        let _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the runtime.
            let _ = thread.join();
        }
    }
}

fn run(host: &PluginHost, watches: &mut Watches, changed: &Receiver<()>, stop: &AtomicBool) {
    // What changed before the watch began.
    host.rescan();
    let mut sound = true;
    loop {
        let woken = match sound {
            true => changed.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => changed.recv_timeout(FOLDER_RETRY),
        };
        if stop.load(Ordering::SeqCst) || woken == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        come_to_rest(changed);
        // The folder may have been made, removed or put in another's place.
        sound = match watches.renew() {
            Ok(()) => true,
            Err(error) => {
                warn!(folder = %watches.folder.display(), %error, "plugin folder cannot be watched: it is read now and then");
                false
            }
        };
        host.rescan();
    }
}

fn come_to_rest(changed: &Receiver<()>) {
    let began = Instant::now();
    while began.elapsed() < FOLDER_PATIENCE && changed.recv_timeout(FOLDER_QUIET).is_ok() {}
}

/// Whether an event is about the folder, what is in it, or what it is in. Reading it raises events too; those are not.
fn concerns(event: &notify::Result<Event>, folder: &Path) -> bool {
    let Ok(event) = event else { return true };
    if event.need_rescan() || event.paths.is_empty() {
        return true;
    }
    if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) {
        return false;
    }
    event.paths.iter().any(|path| path.starts_with(folder) || folder.starts_with(path))
}

struct Watches {
    watcher: RecommendedWatcher,
    folder: PathBuf,
    paths: Vec<PathBuf>,
}

impl Watches {
    /// Watches the folder if it is there, and the nearest folder above it that is, where it would appear.
    fn renew(&mut self) -> notify::Result<()> {
        for path in self.paths.drain(..) {
            // Gone with what it watched.
            let _ = self.watcher.unwatch(&path);
        }
        let above = self.folder.ancestors().skip(1).find(|path| path.is_dir());
        for path in above.into_iter().chain(self.folder.is_dir().then_some(self.folder.as_path())) {
            self.watcher.watch(path, RecursiveMode::NonRecursive)?;
            self.paths.push(path.to_owned());
        }
        Ok(())
    }
}
