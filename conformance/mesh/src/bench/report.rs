//! The rows of the table: each figure of ours beside a peer's, with the aim and whether it is met.

use serde::Serialize;

use super::figure::{Aim, Figure, OURS};
use super::results::Results;
use super::spread::Spread;

/// One row: a figure, and one peer that it is held against.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// None: not measured.
    pub(super) ours: Option<Spread>,
    pub(super) peer: Option<&'static str>,
    pub(super) theirs: Option<Spread>,
    /// Ours over theirs, of the medians.
    pub(super) ratio: Option<f64>,
    pub(super) aim: Option<String>,
    /// None where there is no aim, or nothing to hold against it.
    pub(super) met: Option<bool>,
}

/// All rows, in the order of `figures`, and of `peers` within one.
pub(super) fn rows(figures: &[Figure], peers: &[&'static str], results: &Results) -> Vec<Row> {
    figures.iter().flat_map(|&figure| rows_of(figure, peers, results)).collect()
}

fn rows_of(figure: Figure, peers: &[&'static str], results: &Results) -> Vec<Row> {
    let ours = results.spread(figure, OURS);
    let alone: Vec<Aim> = figure.aims.iter().copied().filter(|aim| aim.peer().is_none()).collect();
    let mut rows: Vec<Row> = alone
        .into_iter()
        .map(|aim| Row {
            aim: Some(aim.text()),
            met: ours.map(|ours| aim.is_met(ours.median)),
            ..Row::bare(figure, ours)
        })
        .collect();
    for &peer in peers {
        let aim = figure.aims.iter().copied().find(|aim| aim.peer() == Some(peer));
        let theirs = results.spread(figure, peer);
        // A peer that is aimed at has a row also when it could not be had.
        if aim.is_none() && theirs.is_none() {
            continue;
        }
        let ratio =
            ours.zip(theirs).map(|(ours, theirs)| ours.median / theirs.median).filter(|ratio| ratio.is_finite());
        rows.push(Row {
            peer: Some(peer),
            theirs,
            ratio,
            aim: aim.map(Aim::text),
            met: aim.zip(ratio).map(|(aim, ratio)| aim.is_met(ratio)),
            ..Row::bare(figure, ours)
        });
    }
    if rows.is_empty() {
        rows.push(Row::bare(figure, ours));
    }
    rows
}

impl Row {
    fn bare(figure: Figure, ours: Option<Spread>) -> Self {
        let Figure { key, name, unit, .. } = figure;
        Self { key, name, unit, ours, peer: None, theirs: None, ratio: None, aim: None, met: None }
    }

    /// Figure, ours, peer, theirs, ratio, aim, met.
    pub(super) fn cells(&self) -> [String; 7] {
        let spread = |spread: Option<Spread>| spread.map_or_else(|| "not measured".to_owned(), text);
        [
            format!("{} [{}]", self.name, self.unit),
            spread(self.ours),
            self.peer.unwrap_or("–").to_owned(),
            if self.peer.is_some() { spread(self.theirs) } else { "–".to_owned() },
            self.ratio.map_or_else(|| "–".to_owned(), number),
            self.aim.clone().unwrap_or_else(|| "–".to_owned()),
            self.met.map_or("–", |met| if met { "met" } else { "NOT met" }).to_owned(),
        ]
    }
}

/// Heads of the columns of [`Row::cells`].
pub(super) const HEADS: [&str; 7] = ["figure", "ours (min … max)", "peer", "theirs (min … max)", "ratio", "aim", ""];

/// The table for a terminal: columns as wide as their widest cell; a figure is named once.
pub(super) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    let mut before = "";
    for row in rows {
        let mut cells = row.cells();
        if row.key == before {
            cells[0].clear();
            cells[1].clear();
        }
        before = row.key;
        lines.push(cells);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |cells: &[String; 7]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

fn text(spread: Spread) -> String {
    format!("{} ({} … {})", number(spread.median), number(spread.min), number(spread.max))
}

/// Three significant digits, or all before the point.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::super::figure::Aim::{AtMost, TimesAtLeast};
    use super::super::figure::figure;
    use super::*;

    const FAST: &str = "a fast peer";
    const MISSING: &str = "a peer that could not be had";
    const RATE: Figure = figure("rate", "rate", "a second", &[TimesAtLeast(FAST, 2.0), TimesAtLeast(MISSING, 5.0)]);
    const MEMORY: Figure = figure("memory", "memory", "MB", &[AtMost(20.0)]);
    const PEERS: [&str; 3] = ["a peer that nobody aims at", FAST, MISSING];

    #[test]
    fn a_ratio_is_held_against_its_aim() {
        let mut results = Results::default();
        results.add(RATE, OURS, 4.0);
        results.add(RATE, PEERS[0], 0.5);
        results.add(RATE, FAST, 2.5);
        let rows = rows_of(RATE, &PEERS, &results);
        let found: Vec<_> = rows.iter().map(|row| (row.peer, row.ratio, row.met)).collect();
        assert_eq!(
            found,
            [(Some(PEERS[0]), Some(8.0), None), (Some(FAST), Some(1.6), Some(false)), (Some(MISSING), None, None)]
        );
    }

    #[test]
    fn a_bound_is_held_against_the_figure_and_a_missing_one_is_neither_met_nor_missed() {
        let mut results = Results::default();
        assert_eq!(rows_of(MEMORY, &PEERS, &results)[0].met, None);
        results.add(MEMORY, OURS, 21.0);
        assert_eq!(rows_of(MEMORY, &PEERS, &results)[0].met, Some(false));
        assert!(table(&rows(&[RATE, MEMORY], &PEERS, &results)).contains("NOT met"));
    }
}
