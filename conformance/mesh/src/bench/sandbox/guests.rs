//! The plugins that are measured: the bundle and an example, as built; and some whose work is known to the instruction.

use anyhow::{Context, Result};
use servos_hostile_guests::code::{ANSWER, Code, Point};

use crate::programs;

/// The bundle, in its order.
pub(super) const BUNDLE: [&str; 3] = ["dns-naming", "traefik-failover", "ufw-policy"];

/// How often the guests of [`asking_numbers`] and [`asking_servers`] ask in one call.
pub(super) const LOOK_UPS: u32 = 1_000;

/// A plugin as `cargo xtask build --guests` built it.
pub(super) fn built(name: &str) -> Result<Vec<u8>> {
    let path = programs::guests().join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{} is missing: run `cargo xtask build --guests`", path.display()))
}

/// A naming plugin that passes, at once.
pub(super) fn passing() -> Vec<u8> {
    Code::new(Point::Naming, pass()).component()
}

/// The same, after [`LOOK_UPS`] questions for a number.
pub(super) fn asking_numbers() -> Vec<u8> {
    repeating("(drop (call $ask))")
        .before(r#"(import "servos:plugin/directory@0.1.0" "generation" (func $ask (result i64)))"#)
        .component()
}

/// The same, after [`LOOK_UPS`] questions for the server that it is asked about.
pub(super) fn asking_servers() -> Vec<u8> {
    // The host's answer lies at 2,048; the name in it takes the place of the one before.
    repeating(
        "(call $ask (local.get $name) (local.get $length) (i32.const 2048))
         (global.set $top (i32.const 131072))",
    )
    .before(r#"(import "servos:plugin/directory@0.1.0" "server-by-name" (func $ask (param i32 i32 i32)))"#)
    .component()
}

fn repeating(ask: &str) -> Code {
    let question = format!(
        "(local.set $at (i32.const {LOOK_UPS}))
         (loop $again
           {ask}
           (br_if $again (local.tee $at (i32.sub (local.get $at) (i32.const 1)))))
         {}",
        pass()
    );
    Code::new(Point::Naming, question)
}

/// Zeros at the answer: `pass`.
fn pass() -> String {
    format!("(i32.const {ANSWER})")
}
