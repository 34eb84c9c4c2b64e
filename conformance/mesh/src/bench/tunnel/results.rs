//! What was measured: for each figure and device its values, one a round; and what could not be.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figure::Figure;

/// Median, least and greatest of some rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self { median: *sorted.get(sorted.len() / 2)?, min: *sorted.first()?, max: *sorted.last()? })
    }
}

/// Values by figure and device, and a line for everything that was left out.
#[derive(Debug, Default)]
pub(super) struct Results {
    values: BTreeMap<(&'static str, &'static str), Vec<f64>>,
    left_out: Vec<String>,
}

impl Results {
    pub(super) fn add(&mut self, figure: Figure, device: &'static str, value: f64) {
        self.values.entry((figure.key, device)).or_default().push(value);
    }

    /// Notes why something is not measured. Says so at once: the rest may take minutes.
    pub(super) fn leave_out(&mut self, why: String) {
        eprintln!("left out: {why}");
        self.left_out.push(why);
    }

    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    pub(super) fn spread(&self, figure: Figure, device: &'static str) -> Option<Spread> {
        Spread::of(self.values.get(&(figure.key, device))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_least_and_greatest() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of(&[]), None);
    }
}
