//! Names that DNS can carry: a single label, and a host name of several.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_DNS_LABEL, MAX_HOST_NAME};

/// One DNS label, lower case: letters, digits and inner hyphens, 1 to 63 bytes (RFC 1123 §2.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsLabel(Box<str>);

impl DnsLabel {
    /// The label's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is a label as it stands, lower case included.
    pub fn is_valid(text: &str) -> bool {
        Self::are_valid(text.as_bytes())
    }

    /// The same of bytes, which are text if they are a label.
    pub(crate) fn are_valid(bytes: &[u8]) -> bool {
        problem_of_label(bytes).is_none()
    }
}

/// A host name of one or more labels, lower case, without final dot, at most 253 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Box<str>);

impl HostName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DnsLabel {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        check_label(text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for HostName {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        if text.len() > MAX_HOST_NAME {
            return Err(LabelError::new(text, "is longer than 253 bytes"));
        }
        for label in text.split('.') {
            check_label(label).map_err(|error| LabelError::new(text, error.problem))?;
        }
        Ok(Self(text.into()))
    }
}

fn check_label(text: &str) -> Result<(), LabelError> {
    problem_of_label(text.as_bytes()).map_or(Ok(()), |problem| Err(LabelError::new(text, problem)))
}

fn problem_of_label(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("is empty");
    }
    if bytes.len() > MAX_DNS_LABEL {
        return Some("is longer than 63 bytes");
    }
    if !bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return Some("has a character other than a-z, 0-9 and '-'");
    }
    if bytes.starts_with(b"-") || bytes.ends_with(b"-") {
        return Some("starts or ends with '-'");
    }
    None
}

/// Why a text is no DNS name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no DNS label: it {problem}")]
pub struct LabelError {
    text: String,
    problem: &'static str,
}

impl LabelError {
    fn new(text: &str, problem: &'static str) -> Self {
        // The text may come from anywhere: quote enough of it to be found, not all of it.
        Self { text: text.chars().take(80).collect(), problem }
    }
}

macro_rules! text_type {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = LabelError;

            fn try_from(text: String) -> Result<Self, LabelError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.into()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_type!(DnsLabel);
text_type!(HostName);
