//! WASI 0.2, linked empty: output goes to the log, nothing can wait, and a thread of an asynchronous runtime may call.

mod common;

use common::guest::{CANNED, Naming};
use common::{load, mesh, question};
use servos_hostile_guests::code;
use servos_sandbox::naming::{Outcome, RecordType};
use servos_sandbox::{Fault, LogLevel, Manifest, Sandbox, Unanswered};

const IO: &str = "package wasi:io@0.2.0;
    interface error { resource error; }
    interface poll { resource pollable { block: func(); } }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
        }
    }";
const CLOCKS: &str = "package wasi:clocks@0.2.0;
    interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        subscribe-duration: func(nanoseconds: u64) -> pollable;
    }";
const CLI: &str = "package wasi:cli@0.2.0;
    interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }
    interface environment { get-arguments: func() -> list<string>; }";
const SOCKETS: &str = "package wasi:sockets@0.2.0;
    interface network {
        enum error-code {
            unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
            not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use,
            remote-unreachable, connection-refused, connection-reset, connection-aborted, datagram-too-large,
            name-unresolvable, temporary-resolver-failure, permanent-resolver-failure
        }
        enum ip-address-family { ipv4, ipv6 }
    }
    interface tcp { resource tcp-socket; }
    interface tcp-create-socket {
        use network.{error-code, ip-address-family};
        use tcp.{tcp-socket};
        create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
    }";
const RANDOM: &str = "package wasi:random@0.2.0;
    interface random { get-random-bytes: func(count: u64) -> list<u8>; }";

/// A naming guest that imports those interfaces of WASI.
fn component(interfaces: &[&str], naming: Naming) -> Vec<u8> {
    let imports: String = interfaces.iter().map(|interface| format!("import {interface};")).collect();
    let world = format!("package test:guest; world guest {{ {imports} export servos:plugin/naming@0.1.0; }}");
    let packages = [IO, CLOCKS, CLI, SOCKETS, RANDOM, &code::contract(), &world];
    code::component_of(&packages, &naming.module())
}

/// Prints two lines and a half to standard output with each question.
fn printing() -> Vec<u8> {
    let imports = r#"
        (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
        (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop (param i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
          (func $write (param i32 i32 i32 i32)))"#;
    let resolve = "(local.set $at (call $stdout))
        (call $write (local.get $at) (i32.const 1036) (i32.const 17) (i32.const 512))
        (call $drop (local.get $at))
        (i32.const 16)";
    let answer = [vec![0; 12], b"one\ntwo\nhalf\nhalf".to_vec()].concat();
    let naming = Naming { imports: imports.into(), resolve: resolve.into(), answer, ..Naming::default() };
    component(&["wasi:cli/stdout@0.2.0", "wasi:io/streams@0.2.0"], naming)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn standard_output_goes_to_the_log_even_from_a_runtime_thread() {
    let called = tokio::spawn(async {
        let plugin = load(&printing(), "");
        assert_eq!(plugin.resolve(&mesh::snapshot(), &question("api", RecordType::A)), Ok(Outcome::Pass));
        plugin
    });
    let log = called.await.unwrap().log();
    let lines: Vec<_> = log.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(lines[..4].iter().map(|line| line.1).collect::<Vec<_>>(), ["one", "two", "half", "halfone"]);
    assert!(lines.iter().all(|line| line.0 == LogLevel::Info));
}

#[test]
fn waiting_is_a_fault() {
    let imports = r#"
        (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $sleep (param i64) (result i32)))
        (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#;
    let resolve = format!("(call $block (call $sleep (i64.const 3600000000000))) {CANNED}");
    let naming = Naming { imports: imports.into(), resolve, ..Naming::default() };
    let wasm = component(&["wasi:io/poll@0.2.0", "wasi:clocks/monotonic-clock@0.2.0"], naming);
    let error = Sandbox::new(None).unwrap().load("sleeper", &wasm, &Manifest::default()).unwrap_err();
    assert!(error.to_string().contains("it waits (wasi:io/poll), which a plugin may not"), "{error}");
}

#[test]
fn there_is_no_network_and_no_argument() {
    // Traps unless creating a socket fails with access-denied (1), and unless there are no arguments.
    let imports = r#"
        (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $socket (param i32 i32)))
        (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))"#;
    let resolve = format!(
        "(call $socket (i32.const 0) (i32.const 512))
         (if (i32.ne (i32.load8_u (i32.const 512)) (i32.const 1)) (then unreachable))
         (if (i32.ne (i32.load8_u (i32.const 516)) (i32.const 1)) (then unreachable))
         (call $arguments (i32.const 520))
         (if (i32.load (i32.const 524)) (then unreachable))
         {CANNED}"
    );
    let naming = Naming { imports: imports.into(), resolve, ..Naming::default() };
    let interfaces = ["wasi:sockets/tcp-create-socket@0.2.0", "wasi:cli/environment@0.2.0"];
    load(&component(&interfaces, naming), "");
}

#[test]
fn a_flood_of_random_bytes_is_a_fault() {
    let imports = r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#;
    let resolve = format!("(call $random (i64.const 1000000) (i32.const 512)) {CANNED}");
    let naming = Naming { imports: imports.into(), resolve, pages: 40, ..Naming::default() };
    let wasm = component(&["wasi:random/random@0.2.0"], naming);
    let error = Sandbox::new(None).unwrap().load("greedy", &wasm, &Manifest::default()).unwrap_err();
    assert!(matches!(error, servos_sandbox::LoadError::Trial(Unanswered::Fault(Fault::Trap(_)))), "{error}");
}
