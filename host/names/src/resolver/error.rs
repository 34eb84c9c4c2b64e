//! Why the host's resolver settings could not be read or changed.

use std::io;
use std::path::PathBuf;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// A file of theirs is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A step that changes a file failed. What was there before still is.
    #[error("{step}: {} cannot be written; names of the mesh are served at the DNS server's addresses all the same", path.display())]
    Write {
        /// What was to be done.
        step: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// systemd-resolved refused something.
    #[error("systemd-resolved: {call}")]
    Call {
        /// The D-Bus method or property.
        call: &'static str,
        /// What it said.
        #[source]
        source: zbus::Error,
    },
    /// systemd-resolved did not answer.
    #[error("systemd-resolved: {call}: no answer; `systemctl restart systemd-resolved` may help")]
    Silent {
        /// The D-Bus method or property.
        call: &'static str,
    },
}

impl ResolverError {
    /// With its causes, in one line.
    pub(crate) fn to_text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}
