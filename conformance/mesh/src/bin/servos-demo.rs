//! The main job for real: what `cargo xtask demo` runs once everything is built.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if let Some(unknown) = arguments.iter().find(|argument| !["--json", "--keep", "--end"].contains(&argument.as_str()))
    {
        eprintln!("servos-demo: unknown argument {unknown:?}; there are --json, --keep and --end");
        return ExitCode::from(2);
    }
    if has("--end") {
        return servos_lab::demo::end();
    }
    servos_lab::demo::main(has("--json"), has("--keep"))
}
