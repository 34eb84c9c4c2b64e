//! Figures as ratios in one run: what `cargo xtask bench` runs once everything is built.

use std::process::ExitCode;

use servos_lab::bench::{self, sandbox, tunnel};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["inside", rest @ ..] => tunnel::inside::main(rest),
        ["tunnel", rest @ ..] => match tunnel_options(rest) {
            Ok(options) => tunnel::main(options),
            Err(unknown) => usage(unknown),
        },
        ["sandbox", rest @ ..] => match sandbox_options(rest) {
            Ok(options) => sandbox::main(options),
            Err(unknown) => usage(unknown),
        },
        [] => bench::main(false),
        ["--json"] => bench::main(true),
        [unknown, ..] => usage(unknown),
    }
}

fn tunnel_options<'a>(arguments: &[&'a str]) -> Result<tunnel::Options, &'a str> {
    let mut options = tunnel::Options::default();
    for argument in arguments {
        match *argument {
            "--json" => options.json = true,
            "--quick" => options.quick = true,
            "--sheet" => options.sheet = true,
            unknown => return Err(unknown),
        }
    }
    Ok(options)
}

fn sandbox_options<'a>(arguments: &[&'a str]) -> Result<sandbox::Options, &'a str> {
    let mut options = sandbox::Options::default();
    for argument in arguments {
        match *argument {
            "--json" => options.json = true,
            "--quick" => options.quick = true,
            unknown => return Err(unknown),
        }
    }
    Ok(options)
}

fn usage(unknown: &str) -> ExitCode {
    eprintln!(
        "servos-bench: unknown argument {unknown:?}; there is [--json], tunnel [--json] [--quick] [--sheet], and \
         sandbox [--json] [--quick]"
    );
    ExitCode::from(2)
}
