//! `servos-plugin` as its users run it. One program, so that tests that wait for tools run beside each other.

#![cfg(test)]

mod commands;
mod common;
mod guide;
mod templates;
