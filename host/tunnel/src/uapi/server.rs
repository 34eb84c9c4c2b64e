//! The socket that `wg` connects to: `/var/run/wireguard/<interface>.sock`, for root alone.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, FromRawFd as _, RawFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::poll::PollFlags;
use zeroize::Zeroizing;

use super::{Conversation, Managed};
use crate::TunnelError;
use crate::backend::userspace::{Signal, wait};
use crate::limits::{UAPI_HANDOVER, UAPI_TIMEOUT};

const FOLDER: &str = "/var/run/wireguard";

/// A thread that answers one client after the other. Stops, and removes its socket, when dropped.
pub(crate) struct UapiServer {
    path: PathBuf,
    /// The socket's own number there: another's of the same path is not ours to remove.
    file: u64,
    stop: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl UapiServer {
    pub(crate) fn start(
        interface: &str,
        opened: Option<RawFd>,
        managed: Arc<dyn Managed>,
    ) -> Result<Self, TunnelError> {
        let path = Path::new(FOLDER).join(format!("{interface}.sock"));
        let failed = |source| TunnelError::Uapi { path: path.clone(), source };
        let listener = match opened {
            // SAFETY: whoever names a descriptor in the environment gives it to us.
            Some(fd) => unsafe { UnixListener::from_raw_fd(fd) },
            None => bind(&path).map_err(failed)?.ok_or_else(|| TunnelError::UapiInUse { path: path.clone() })?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let file = fs::metadata(&path).map_err(failed)?.ino();
        let stop = Arc::new(Signal::new().map_err(TunnelError::Thread)?);
        let run = {
            let stop = stop.clone();
            move || serve(&listener, &stop, &*managed)
        };
        let thread = thread::Builder::new().name("wg-uapi".to_owned()).spawn(run).map_err(TunnelError::Thread)?;
        Ok(Self { path, file, stop, thread: Some(thread) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UapiServer {
    fn drop(&mut self) {
        self.stop.raise();
        // A panic of the thread was printed by it.
        let _ = self.thread.take().map(JoinHandle::join);
        if fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.file) {
            // Whoever removed it before us did our work.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `None` if somebody listens on the path, and goes on to. What lies there else is left from a process that died.
fn bind(path: &Path) -> io::Result<Option<UnixListener>> {
    DirBuilder::new().recursive(true).mode(0o700).create(FOLDER)?;
    // Whoever had an interface of this name may be about to end.
    let deadline = Instant::now() + UAPI_HANDOVER;
    while UnixStream::connect(path).is_ok() {
        if Instant::now() > deadline {
            return Ok(None);
        }
        thread::park_timeout(UAPI_HANDOVER / 20);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(Some(listener))
}

fn serve(listener: &UnixListener, stop: &Signal, managed: &dyn Managed) {
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                if let Err(error) = converse(client, stop, managed) {
                    tracing::debug!(%error, "a client of the UAPI socket was lost");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::debug!(%error, "a client of the UAPI socket could not be accepted"),
        }
        if wait([(listener.as_fd(), PollFlags::POLLIN), (stop.as_fd(), PollFlags::POLLIN)], None)[1] {
            return;
        }
    }
}

/// Answers until the client ends, says nothing for long, or says too much.
fn converse(mut client: UnixStream, stop: &Signal, managed: &dyn Managed) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_write_timeout(Some(UAPI_TIMEOUT))?;
    let mut conversation = Conversation::default();
    // What is read may be a key.
    let mut bytes = Zeroizing::new([0; 4_096]);
    loop {
        let fds = [(client.as_fd(), PollFlags::POLLIN), (stop.as_fd(), PollFlags::POLLIN)];
        if wait(fds, Some(UAPI_TIMEOUT)) != [true, false] {
            return Ok(());
        }
        let count = client.read(bytes.as_mut_slice())?;
        if count == 0 {
            return Ok(());
        }
        let goes_on = conversation.take(&bytes[..count], managed, |answer| client.write_all(answer))?;
        if !goes_on {
            return Ok(());
        }
    }
}
