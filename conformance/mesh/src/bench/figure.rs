//! What a figure is: its name, its unit, and what is aimed at.

/// Whose figures are judged.
pub(super) const OURS: &str = "ours";

/// One figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    /// For machines.
    pub(super) key: &'static str,
    /// For people.
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) aims: &'static [Aim],
}

/// What a figure of ours should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim {
    /// At least so many times a peer's.
    TimesAtLeast(&'static str, f64),
    /// At most so many times a peer's.
    TimesAtMost(&'static str, f64),
    /// At least, in the figure's unit.
    AtLeast(f64),
    /// At most, in the figure's unit.
    AtMost(f64),
}

impl Aim {
    /// Whom it is measured against; nobody for an aim in the figure's own unit.
    pub(super) fn peer(self) -> Option<&'static str> {
        match self {
            Self::TimesAtLeast(peer, _) | Self::TimesAtMost(peer, _) => Some(peer),
            Self::AtLeast(_) | Self::AtMost(_) => None,
        }
    }

    /// Whether it is met by a figure, or by its ratio to a peer's.
    pub(super) fn is_met(self, value: f64) -> bool {
        match self {
            Self::TimesAtLeast(_, bound) | Self::AtLeast(bound) => value >= bound,
            Self::TimesAtMost(_, bound) | Self::AtMost(bound) => value <= bound,
        }
    }

    /// For the table.
    pub(super) fn text(self) -> String {
        match self {
            Self::TimesAtLeast(_, bound) => format!("≥ {bound}×"),
            Self::TimesAtMost(_, bound) => format!("≤ {bound}×"),
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
        }
    }
}

/// A figure; what a list of them is written with.
pub(super) const fn figure(key: &'static str, name: &'static str, unit: &'static str, aims: &'static [Aim]) -> Figure {
    Figure { key, name, unit, aims }
}
