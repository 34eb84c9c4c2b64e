//! Figures as ratios in one run: what `cargo xtask bench` runs once everything is built.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use memmap2::Mmap;
use servos_lab::bench::{self, sandbox, tunnel};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["inside", rest @ ..] => tunnel::inside::main(rest, map),
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

/// Maps a state as the agent does.
#[allow(unsafe_code, reason = "a mapping is unsafe by nature; the file lies in the laboratory's own folder")]
fn map(path: &Path) -> std::io::Result<Bytes> {
    let file = File::open(path)?;
    // SAFETY: the bench wrote the file before it started this program, and changes it no more.
    let map = unsafe { Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}
