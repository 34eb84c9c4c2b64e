//! The extension point that a plugin serves.

use std::fmt;

use serde::Serialize;

/// Which question a plugin answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a name means.
    Naming,
    /// How the traffic of a service is spread.
    Weighting,
    /// What the firewall lets in.
    Policy,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Naming, Self::Weighting, Self::Policy];

    /// `naming`, `weighting` or `policy`: the name of the interface that the plugin exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Naming => "naming",
            Self::Weighting => "weighting",
            Self::Policy => "policy",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
