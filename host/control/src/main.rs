//! `servos-control`: see `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    servos_control::cli::main()
}
