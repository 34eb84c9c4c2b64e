//! `servos-agent`: see `servos_agent::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    servos_agent::cli::main()
}
