//! What was measured: for each figure and device its values, one a round; and what could not be.

use std::collections::BTreeMap;

use super::figure::Figure;
use super::spread::Spread;

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
