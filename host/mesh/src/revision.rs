//! The revision of a mesh, and its form as an HTTP entity tag.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Number of a state of the mesh. Grows by at least one with every change, and is never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The strong entity tag of this revision: `"<number>"`, quotes included (RFC 9110 §8.8.3).
    pub fn etag(self) -> String {
        format!("\"{}\"", self.0)
    }

    /// Reads one entity tag, weak or strong.
    ///
    /// # Errors
    ///
    /// [`RevisionError`] if it is not a number in quotes: a tag of somebody else's.
    pub fn from_etag(tag: &str) -> Result<Self, RevisionError> {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let number = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(RevisionError)?;
        number.parse()
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RevisionError);
        }
        text.parse().map(Self).map_err(|_| RevisionError)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a revision")]
pub struct RevisionError;
