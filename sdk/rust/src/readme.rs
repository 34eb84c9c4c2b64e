//! The examples of the guide, which `cargo test` compiles and runs.
#![doc = include_str!("../../README.md")]
