//! The sheet: figures, machine and command as a page beside the tunnel's source, with the plot.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Pace, plot};
use crate::bench::machine_kind::{MachineKind, machine};
use crate::bench::report::{HEADS, Row};
use crate::bench::results::Results;

/// The folder of the tunnel's crate.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/tunnel");

/// The files of one kind of machine. What sealing costs differs by half between them, and so does all that hangs on it.
struct Sheet {
    page: &'static str,
    plot: &'static str,
    /// What the machine has, as a reader is told, and as the page of the other kind says it.
    has: &'static str,
    as_other: &'static str,
}

const WITH_AVX512: Sheet =
    Sheet { page: "BENCHMARKS.md", plot: "benchmarks.svg", has: "with AVX-512", as_other: "with it" };

const WITHOUT_AVX512: Sheet = Sheet {
    page: "BENCHMARKS-no-avx512.md",
    plot: "benchmarks-no-avx512.svg",
    has: "without AVX-512",
    as_other: "without",
};

/// Writes page and plot of this kind of machine.
pub(super) fn write(rows: &[Row], results: &Results, pace: &Pace) -> Result<()> {
    let machine = machine();
    let (sheet, other) = if machine.avx512 { (WITH_AVX512, WITHOUT_AVX512) } else { (WITHOUT_AVX512, WITH_AVX512) };
    let page = page([&sheet, &other], &machine, rows, results.left_out(), pace);
    for (name, content) in [(sheet.page, page), (sheet.plot, plot::svg(results))] {
        let path = Path::new(FOLDER).join(name);
        // Whole or not at all.
        let unfinished = path.with_extension("unfinished");
        let written = std::fs::write(&unfinished, content).and_then(|()| std::fs::rename(&unfinished, &path));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn page([sheet, other]: [&Sheet; 2], machine: &MachineKind, rows: &[Row], left_out: &[String], pace: &Pace) -> String {
    let Pace { rounds, echoes, large_rounds, .. } = pace;
    let MachineKind { processor, cores, kernel, .. } = machine;
    let (Sheet { plot, has, .. }, Sheet { page: other_page, as_other, .. }) = (sheet, other);
    let mut page = format!(
        "# Figures\n\n\
         Written by `cargo xtask bench tunnel --sheet`. All figures are of one run, in fresh network namespaces, each \
         device on both sides, the devices in turn; medians of {rounds} rounds (echoes {} times in each, \
         {large_rounds} with 4,194,302 peers), with the least and the greatest. Only the ratios mean something on \
         another machine. Sealing alone is `ring`'s, a packet at a time; ours seals several together where \
         the processor has vectors of 512 bits, or of 256.\n\n\
         Machine: {processor}, {cores} cores, {has}, Linux {kernel}. One {as_other}: [{other_page}]({other_page}).\n\n\
         ![Bars of the main figures]({plot})\n\n",
        echoes.times
    );
    let mut line = |cells: &[&str]| {
        // Writing into a string cannot fail.
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    };
    line(&HEADS);
    line(&["---"; HEADS.len()]);
    for row in rows {
        line(&row.cells().each_ref().map(String::as_str));
    }
    if !left_out.is_empty() {
        page.push_str("\nLeft out:\n\n");
        for why in left_out {
            let _ = writeln!(page, "- {}", why.lines().next().unwrap_or_default());
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::WHOLE;
    use super::super::figure::{FIGURES, OURS, PEERS, RESIDENT};
    use super::*;
    use crate::bench::report;

    #[test]
    fn the_page_has_a_row_a_figure_and_what_was_left_out() {
        let mut results = Results::default();
        results.add(RESIDENT, OURS, 12.0);
        results.leave_out("gotatun: is not there".to_owned());
        let rows = report::rows(&FIGURES, &PEERS, &results);
        let page = page([&WITHOUT_AVX512, &WITH_AVX512], &machine(), &rows, results.left_out(), &WHOLE);
        assert!(page.contains("medians of 3 rounds (echoes 5 times in each, 1 with 4,194,302 peers)"), "{page}");
        assert!(
            page.contains(
                "| resident memory after the TCP streams [MB] | 12.0 (12.0 … 12.0) | – | – | – | ≤ 20 | met |"
            )
        );
        assert!(page.contains("cores, without AVX-512, Linux"), "{page}");
        assert!(page.contains(
            "One with it: [BENCHMARKS.md](BENCHMARKS.md).\n\n![Bars of the main figures](benchmarks-no-avx512.svg)"
        ));
        assert!(page.ends_with("Left out:\n\n- gotatun: is not there\n"));
    }
}
