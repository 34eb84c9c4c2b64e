//! Figures as ratios in one run: what `cargo xtask bench` runs once everything is built.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    if let Some(unknown) = arguments.iter().find(|argument| *argument != "--json") {
        eprintln!("servos-bench: unknown argument {unknown:?}; there is --json");
        return ExitCode::from(2);
    }
    servos_lab::bench::main(json)
}
