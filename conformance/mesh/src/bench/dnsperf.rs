//! `dnsperf`: how it is called, and what it says.

use anyhow::{Context, Result, ensure};

/// Its arguments: four clients of one thread ask the questions of a file, over and over, for so many seconds.
pub(super) fn arguments<'a>(address: &'a str, port: &'a str, questions: &'a str, seconds: &'a str) -> [&'a str; 12] {
    ["-s", address, "-p", port, "-d", questions, "-l", seconds, "-c", "4", "-T", "1"]
}

/// The rate in what it printed, if every question had an answer.
pub(super) fn answers_a_second(printed: &str) -> Result<f64> {
    let says = |name: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(str::trim).with_context(|| format!("no {name} in {printed}"))
    };
    let lost = says("Queries lost:")?;
    ensure!(lost.starts_with("0 (") || lost.contains("(0."), "answers are missing: {printed}");
    // A refusal is quicker than an answer. Codes are told one after the other: this one is alone.
    let codes = says("Response codes:")?;
    ensure!(codes.starts_with("NOERROR ") && codes.ends_with(" (100.00%)"), "not all are answers: {printed}");
    let rate = says("Queries per second:")?;
    rate.parse().with_context(|| rate.to_owned())
}
