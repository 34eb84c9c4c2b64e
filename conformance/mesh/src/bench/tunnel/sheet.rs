//! The sheet: figures, machine and command as a page beside the tunnel's source, with the plot.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::plot;
use super::report::{HEADS, Row};
use super::results::Results;

/// The folder of the tunnel's crate.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/tunnel");

const PAGE: &str = "BENCHMARKS.md";
const PLOT: &str = "benchmarks.svg";

/// What was measured on.
#[derive(Debug, Serialize)]
pub(super) struct MachineKind {
    processor: String,
    cores: usize,
    kernel: String,
}

/// This machine.
pub(super) fn machine() -> MachineKind {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    MachineKind {
        processor: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

/// Writes page and plot.
pub(super) fn write(rows: &[Row], results: &Results) -> Result<()> {
    for (name, content) in [(PAGE, page(rows, results.left_out())), (PLOT, plot::svg(results))] {
        let path = Path::new(FOLDER).join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn page(rows: &[Row], left_out: &[String]) -> String {
    let MachineKind { processor, cores, kernel } = machine();
    let mut page = format!(
        "# Figures\n\n\
         Written by `cargo xtask bench tunnel --sheet`. All figures are of one run, in fresh network namespaces, each \
         device on both sides, the devices in turn; medians of the rounds, with the least and the greatest. Only the \
         ratios mean something on another machine.\n\n\
         Machine: {processor}, {cores} cores, Linux {kernel}.\n\n\
         ![Bars of the main figures]({PLOT})\n\n"
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
    use super::super::figure::{OURS, RESIDENT};
    use super::super::report::rows;
    use super::*;

    #[test]
    fn the_page_has_a_row_a_figure_and_what_was_left_out() {
        let mut results = Results::default();
        results.add(RESIDENT, OURS, 12.0);
        results.leave_out("gotatun: is not there".to_owned());
        let page = page(&rows(&results), results.left_out());
        assert!(
            page.contains(
                "| resident memory after the TCP streams [MB] | 12.0 (12.0 … 12.0) | – | – | – | ≤ 20 | met |"
            )
        );
        assert!(page.ends_with("Left out:\n\n- gotatun: is not there\n"));
    }
}
