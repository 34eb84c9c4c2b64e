//! `fuzz`: what reads bytes of strangers is fed with very many, beginning with what is in git: a corpus, or golden files.
//!
//! Inputs that reach something new are kept in the cache, and are where the next run goes on; those of `test` are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::command::{output, run, run_quietly, status};
use crate::side_by_side::side_by_side;
use crate::{places, setup};

/// The targets, each a file in `conformance/fuzz/targets`.
pub const TARGETS: [&str; 5] = ["datagrams", "mesh_delta", "mesh_state", "offload", "uapi"];

/// Those that begin with the golden files of the mesh's wire, in place of a corpus.
const GOLDEN: [&str; 2] = ["mesh_delta", "mesh_state"];

/// How long `test` runs each, seconds.
pub const SECONDS: u64 = 60;

/// Inputs of a corpus at most: `test` tries all of them before any other.
const MOST_KEPT: usize = 64;

/// Lines of a failed run that are shown, from the first that says what is wrong.
const SHOWN_LINES: usize = 60;

/// One input that takes so long is a failure: seconds, on a machine that is busy with much else.
const TIMEOUT: u64 = 60;

/// Arguments of `fuzz`.
#[derive(Args)]
pub struct Arguments {
    /// The target; without it all are run, two at a time
    #[arg(value_parser = PossibleValuesParser::new(TARGETS))]
    target: Option<String>,

    /// How long each is run
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// Run this input alone, such as one that a failed run has left
    #[arg(long, value_name = "FILE", requires = "target", conflicts_with_all = ["seconds", "keep"])]
    input: Option<PathBuf>,

    /// Afterwards make the corpus in git anew, where there is one: few inputs that reach what was reached
    #[arg(long)]
    keep: bool,
}

/// Builds, runs, and says what failed.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    setup::crate_program(setup::CARGO_FUZZ, false)?;
    run(&mut cargo_fuzz("build"))?;
    let named = arguments.target.as_deref();
    if let (Some(target), Some(input)) = (named, &arguments.input) {
        let status = status(Command::new(program(target)).arg(input))?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let targets: Vec<&str> = TARGETS.into_iter().filter(|target| named.is_none_or(|named| named == *target)).collect();
    let mut failed = 0;
    for run in run_all(&targets, arguments.seconds, found) {
        println!("{:<4} {:<10} {:>7.1} s  {}", run.word(), run.target, run.took.as_secs_f64(), run.said);
        failed += usize::from(!run.passed);
    }
    if arguments.keep && failed == 0 {
        targets.into_iter().filter(|target| !GOLDEN.contains(target)).try_for_each(keep)?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of a target.
pub struct Run {
    /// Which.
    pub target: &'static str,
    /// Whether nothing was found.
    pub passed: bool,
    /// How long it ran.
    pub took: Duration,
    /// How much was tried, in the fuzzer's words.
    said: String,
}

impl Run {
    fn word(&self) -> &'static str {
        if self.passed { "PASS" } else { "FAIL" }
    }
}

/// `cargo fuzz` in the folder of the targets, with build products in the cache.
pub fn cargo_fuzz(subcommand: &str) -> Command {
    let mut command = Command::new(places::tools().join("bin/cargo-fuzz"));
    command.args(["fuzz", subcommand, "--fuzz-dir", "."]).current_dir(places::fuzz());
    // The stable compiler brings the sanitizer, and has no flag of its own for it.
    command.env("RUSTC_BOOTSTRAP", "1").args(["--strip-dead-code", "--target-dir"]).arg(places::fuzz_target());
    command
}

/// Runs targets, some at a time; how each went, in order. What reaches something new goes into the folder that `into`
/// gives.
pub fn run_all(targets: &[&'static str], seconds: u64, into: fn(&str) -> Result<PathBuf>) -> Vec<Run> {
    side_by_side(targets, |target| run_one(target, seconds, into))
}

fn run_one(target: &'static str, seconds: u64, into: fn(&str) -> Result<PathBuf>) -> Run {
    println!("fuzzing {target} for {seconds} s …");
    let began = Instant::now();
    let outcome = into(target).and_then(|into| fuzz(target, seconds, &into));
    let took = began.elapsed();
    match outcome {
        Ok(said) => Run { target, passed: true, took, said },
        Err(error) => {
            eprintln!("{target}: {error:#}");
            Run { target, passed: false, took, said: String::new() }
        }
    }
}

/// The last line of a run that found nothing.
fn fuzz(target: &str, seconds: u64, into: &Path) -> Result<String> {
    let left = made(folder(target, "left"))?;
    let log = places::cache().join(format!("log/fuzz-{target}.log"));
    let mut command = Command::new(program(target));
    command.args([into, &seeds(target)?]);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={TIMEOUT}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", left.display()));
    if let Err(error) = run_quietly(&mut command, &log) {
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        return Err(error.context(explain(target, &text)));
    }
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let done = text.lines().rfind(|line| line.starts_with("Done "));
    // A run that says nothing has tried nothing.
    done.map(str::to_owned).with_context(|| format!("it did not run to its end: see {}", log.display()))
}

/// What a failed run said, and how to see it again.
fn explain(target: &str, log: &str) -> String {
    let is_cause = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let from = log.lines().position(|line| is_cause(&line)).unwrap_or_default();
    let cause: Vec<&str> = log.lines().skip(from).take(SHOWN_LINES).collect();
    let input = log.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path);
    let again = input.map_or_else(
        || "the run left no input".to_owned(),
        |path| format!("again: cargo xtask fuzz {target} --input {path}"),
    );
    format!("{}\n{again}", cause.join("\n"))
}

/// Puts into the corpus in git, in place of what is there, the fewest inputs that reach as much as all do: of too many,
/// the shortest.
fn keep(target: &str) -> Result<()> {
    let (corpus, merged) = (corpus(target), emptied(folder(target, "merged"))?);
    let mut command = Command::new(program(target));
    command.arg("-set_cover_merge=1").args([&merged, &seeds(target)?, &found(target)?]);
    run_quietly(&mut command, &places::cache().join(format!("log/fuzz-{target}-merge.log")))?;
    let inputs = fs::read_dir(&merged)?.map(|entry| Ok(hex(&fs::read(entry?.path())?)));
    let mut lines = inputs.collect::<Result<Vec<String>>>()?;
    if lines.is_empty() {
        bail!("nothing was merged for {target}");
    }
    lines.sort_unstable_by_key(String::len);
    lines.truncate(MOST_KEPT);
    lines.sort_unstable();
    fs::write(&corpus, lines.join("\n") + "\n").with_context(|| format!("cannot write {}", corpus.display()))?;
    println!("{target}: {} inputs in {}", lines.len(), corpus.display());
    Ok(())
}

/// The folder of what to begin with: golden files, or the corpus, a file an input.
fn seeds(target: &str) -> Result<PathBuf> {
    if GOLDEN.contains(&target) {
        return Ok(places::golden());
    }
    let (corpus, seeds) = (corpus(target), emptied(folder(target, "seeds"))?);
    let text = fs::read_to_string(&corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
    for (at, line) in text.lines().enumerate() {
        let input = bytes(line).with_context(|| format!("{}, line {}: no hexadecimal", corpus.display(), at + 1))?;
        fs::write(seeds.join(at.to_string()), input)?;
    }
    Ok(seeds)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

fn program(target: &str) -> PathBuf {
    let triple = output("rustc", &["--print", "host-tuple"]).unwrap_or_default();
    places::fuzz_target().join(triple).join("release").join(target)
}

/// In git: a line an input, hexadecimal.
fn corpus(target: &str) -> PathBuf {
    places::fuzz().join("corpus").join(format!("{target}.hex"))
}

/// Where inputs that reach something new are kept, for the next run to go on with.
fn found(target: &str) -> Result<PathBuf> {
    made(folder(target, "found"))
}

/// Empty: a run that begins with all that was ever found does little else in a minute.
pub fn fresh(target: &str) -> Result<PathBuf> {
    emptied(folder(target, "test"))
}

/// A folder of a target in the cache.
fn folder(target: &str, name: &str) -> PathBuf {
    places::cache().join("fuzz").join(target).join(name)
}

fn emptied(folder: PathBuf) -> Result<PathBuf> {
    // It may not be there yet.
    let _ = fs::remove_dir_all(&folder);
    made(folder)
}

fn made(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_file_and_what_to_begin_with() {
        let mut files: Vec<String> = fs::read_dir(places::fuzz().join("targets"))
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path().with_extension(""))
            .filter_map(|path| Path::new(&path).file_name()?.to_str().map(str::to_owned))
            .collect();
        files.sort_unstable();
        assert_eq!(files, TARGETS);
        assert!(fs::read_dir(places::golden()).expect("golden files").next().is_some());
        for target in TARGETS.into_iter().filter(|target| !GOLDEN.contains(target)) {
            let text = fs::read_to_string(corpus(target)).expect("a corpus");
            let lines: Vec<&str> = text.lines().collect();
            assert!((1..=MOST_KEPT).contains(&lines.len()) && lines.is_sorted(), "{target}");
            assert!(
                lines.iter().all(|line| bytes(line).map(|bytes| hex(&bytes)).as_deref() == Some(*line)),
                "{target}"
            );
        }
    }

    #[test]
    fn a_failed_run_is_shown_from_its_cause_on() {
        let log =
            "INFO: Seed: 1\nthread panicked at x.rs\nstack\nartifact_prefix='/a/'; Test unit written to /a/crash-1\n";
        let said = explain("uapi", log);
        assert!(said.starts_with("thread panicked at x.rs\nstack\n"), "{said}");
        assert!(said.ends_with("again: cargo xtask fuzz uapi --input /a/crash-1"), "{said}");
    }
}
