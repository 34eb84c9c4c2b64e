//! Guests: core modules in text, made components with the contract of `wit/`, as an author's tools would.
//!
//! Memory: constants below 64 KiB, what the host writes from there on. Address 16 is zero: `ok`, `pass`, an empty list.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where answers lie.
pub const ANSWER: usize = 1_024;

/// Returns the pointer to [`ANSWER`], having given back what the host wrote.
pub const CANNED: &str = "(global.set $top (i32.const 65536)) (i32.const 1024)";

/// A guest of the world `naming-plugin`. Parameters of `resolve`: `$name`, `$length`, `$type` (0 a, 1 aaaa, 2 srv,
/// 3 ptr, 4 txt, 5 other).
pub struct Naming {
    /// Code of `resolve`.
    pub resolve: String,
    /// Code of `configure`.
    pub configure: String,
    /// Bytes at [`ANSWER`].
    pub answer: Vec<u8>,
    /// Imports, before everything else.
    pub imports: String,
    /// Pages of memory at the start.
    pub pages: u32,
}

impl Default for Naming {
    fn default() -> Self {
        Self {
            resolve: CANNED.to_owned(),
            configure: "(i32.const 16)".to_owned(),
            answer: Vec::new(),
            imports: String::new(),
            pages: 4,
        }
    }
}

impl Naming {
    /// Always the same answer.
    pub fn answering(answer: Vec<u8>) -> Vec<u8> {
        Self { answer, ..Self::default() }.component()
    }

    /// Runs that code to a question for TXT, and passes all others.
    pub fn on_txt(code: &str) -> Vec<u8> {
        let resolve = format!("(if (i32.eq (local.get $type) (i32.const 4)) (then {code})) {CANNED}");
        Self { resolve, ..Self::default() }.component()
    }

    pub fn module(&self) -> String {
        let functions = format!(
            r#"(func (export "servos:plugin/naming@0.1.0#configure") (param $settings i32) (param $length i32) (result i32)
                 {})
               (func (export "servos:plugin/naming@0.1.0#resolve")
                 (param $name i32) (param $length i32) (param $type i32) (result i32)
                 (local $at i32)
                 {})"#,
            self.configure, self.resolve
        );
        module(&self.imports, &functions, &self.answer, self.pages)
    }

    pub fn component(&self) -> Vec<u8> {
        component("naming-plugin", &self.module())
    }
}

/// A guest of the world `weighting-plugin` that answers those weights.
pub fn weighting(weights: &[u16]) -> Vec<u8> {
    let list: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let mut answer = Vec::new();
    answer.extend(word(ANSWER + 8));
    answer.extend(word(weights.len()));
    answer.extend(list);
    let functions = format!(
        r#"(func (export "servos:plugin/weighting@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
           (func (export "servos:plugin/weighting@0.1.0#weigh")
             (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {CANNED})"#
    );
    component("weighting-plugin", &module("", &functions, &answer, 4))
}

/// A rule: first port, last port, reason.
pub type Ports = (u16, u16, &'static str);

/// A guest of the world `policy-plugin` that allows those ports, over TCP, from anywhere.
pub fn policy(rules: &[Ports]) -> Vec<u8> {
    const RULE: usize = 20;
    let mut answer = Vec::new();
    answer.extend(word(ANSWER + 8));
    answer.extend(word(rules.len()));
    let mut text = ANSWER + 8 + rules.len() * RULE;
    for (first, last, reason) in rules {
        // Action and transport, ports, source (tag and 5 bytes), reason.
        answer.extend([0, 0]);
        answer.extend(first.to_le_bytes());
        answer.extend(last.to_le_bytes());
        answer.extend([0; 6]);
        answer.extend(word(text));
        answer.extend(word(reason.len()));
        text += reason.len();
    }
    rules.iter().for_each(|(_, _, reason)| answer.extend(reason.as_bytes()));
    let functions = format!(
        r#"(func (export "servos:plugin/policy@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
           (func (export "servos:plugin/policy@0.1.0#rules")
             (param i32 i32 i32 i32 i32 i32 i32) (result i32) {CANNED})"#
    );
    component("policy-plugin", &module("", &functions, &answer, 4))
}

/// An answer of that many A records.
pub fn a_records(ttl: u32, addresses: &[[u8; 4]]) -> Vec<u8> {
    records(addresses.iter().map(|address| {
        let mut record = ttl.to_le_bytes().to_vec();
        record.extend(word(0));
        record.extend(address);
        record
    }))
}

/// An answer of one PTR or SRV record.
pub fn target_record(tag: u32, port: u16, target: &str) -> Vec<u8> {
    let text = ANSWER + 12 + RECORD;
    let mut record = 5_u32.to_le_bytes().to_vec();
    record.extend(tag.to_le_bytes());
    if tag == SRV {
        record.extend([1, 0, 2, 0]);
        record.extend(port.to_le_bytes());
        record.extend([0, 0]);
    }
    record.extend(word(text));
    record.extend(word(target.len()));
    let mut answer = records([record].into_iter());
    answer.extend(target.as_bytes());
    answer
}

/// Tags of `rdata`.
pub const SRV: u32 = 1;
pub const PTR: u32 = 2;

/// Bytes of an answer record.
const RECORD: usize = 24;

/// `answers` of those records.
fn records(records: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    // variant outcome: tag 3, pointer, length.
    let mut answer = Vec::new();
    answer.extend(word(3));
    answer.extend(word(ANSWER + 12));
    answer.extend(word(records.len()));
    for mut record in records {
        record.resize(RECORD, 0);
        answer.extend(record);
    }
    answer
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}

/// A core module with memory and allocator.
pub fn module(imports: &str, functions: &str, answer: &[u8], pages: u32) -> String {
    let bytes: String = answer.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(module
             {imports}
             (memory (export "memory") {pages})
             (global $top (mut i32) (i32.const 65536))
             (data (i32.const {ANSWER}) "{bytes}")
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
               (local.set $at
                 (i32.and
                   (i32.sub (i32.add (global.get $top) (local.get 2)) (i32.const 1))
                   (i32.sub (i32.const 0) (local.get 2))))
               (global.set $top (i32.add (local.get $at) (local.get 3)))
               (local.get $at))
             {functions})"#
    )
}

/// A component of a world of the contract.
pub fn component(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit()).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    encode(&resolve, world, module)
}

/// A component of a world of the contract in another version, or of a world of one's own: `packages` are the texts of
/// WIT packages, each after those that it uses; the world is `guest` in the last.
pub fn component_of(packages: &[&str], module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for (at, package) in packages.iter().enumerate() {
        last = Some(resolve.push_str(format!("{at}.wit"), package).unwrap());
    }
    let world = resolve.select_world(&[last.unwrap()], Some("guest")).unwrap();
    encode(&resolve, world, module)
}

/// The text of the contract.
pub fn contract() -> String {
    std::fs::read_to_string(wit().join("servos-plugin.wit")).unwrap()
}

fn wit() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

fn encode(resolve: &Resolve, world: wit_parser::WorldId, module: &str) -> Vec<u8> {
    let mut wasm = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut wasm, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&wasm).unwrap().validate(true).encode().unwrap()
}
