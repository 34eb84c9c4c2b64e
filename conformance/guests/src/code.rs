//! From WebAssembly text to a component of the contract.
//!
//! Memory: zeros at [`ZEROS`], a refusal at [`REFUSAL`], room for the guest's own from 256 on, its answer at [`ANSWER`],
//! and what the host writes from 64 KiB on.

use std::path::PathBuf;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// Zeros: `ok`, `pass`, an empty list.
pub const ZEROS: usize = 16;

/// `err` with a text.
pub const REFUSAL: usize = 64;

/// Where answers lie.
pub const ANSWER: usize = 1_024;

/// Refuses whatever is longer than `{}`.
const REFUSE_SETTINGS: &str = "(select (i32.const 64) (i32.const 16) (i32.gt_u (local.get $length) (i32.const 2)))";

/// An extension point, and what its question comes to in a core module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Parameters of `resolve`: `$name`, `$length`, `$type` (0 a, 1 aaaa, 2 srv, 3 ptr, 4 txt, 5 other).
    Naming,
    /// Parameters of `weigh`: `$name` and `$length` of the service, those of the rest of it, `$candidates`, `$count`.
    Weighting,
    /// Parameters of `rules`: `$port`, `$interface`, `$length` (of its name), `$instances`, `$count`, `$proxy`, `$ports`
    /// (how many).
    Policy,
}

impl Point {
    fn interface(self) -> &'static str {
        match self {
            Self::Naming => "servos:plugin/naming@0.1.0",
            Self::Weighting => "servos:plugin/weighting@0.1.0",
            Self::Policy => "servos:plugin/policy@0.1.0",
        }
    }

    fn world(self) -> &'static str {
        match self {
            Self::Naming => "naming-plugin",
            Self::Weighting => "weighting-plugin",
            Self::Policy => "policy-plugin",
        }
    }

    fn question(self) -> &'static str {
        match self {
            Self::Naming => "resolve",
            Self::Weighting => "weigh",
            Self::Policy => "rules",
        }
    }

    fn parameters(self) -> &'static str {
        match self {
            Self::Naming => "(param $name i32) (param $length i32) (param $type i32)",
            Self::Weighting => {
                "(param $name i32) (param $length i32) (param i32 i32 i32 i32 i32 i32 i32)
                 (param $candidates i32) (param $count i32)"
            }
            Self::Policy => {
                "(param $port i32) (param $interface i32) (param $length i32) (param $instances i32) (param $count i32)
                 (param $proxy i32) (param $ports i32)"
            }
        }
    }
}

/// A guest's code.
#[derive(Clone, Debug)]
pub struct Code {
    /// What it exports.
    pub point: Point,
    /// Of `configure`: parameters `$settings` and `$length`.
    pub configure: String,
    /// Of its question, which leaves the address of the answer; a local `$at` is there to count with.
    pub question: String,
    /// Bytes at [`ANSWER`].
    pub answer: Vec<u8>,
    /// Imports, then functions of its own.
    pub before: String,
    /// Pages of memory at the start.
    pub pages: u32,
}

impl Code {
    /// A guest that refuses settings, and answers with whatever `question` leaves.
    pub fn new(point: Point, question: impl Into<String>) -> Self {
        Self {
            point,
            configure: REFUSE_SETTINGS.to_owned(),
            question: question.into(),
            answer: Vec::new(),
            before: String::new(),
            pages: 4,
        }
    }

    /// With those bytes at [`ANSWER`].
    #[must_use]
    pub fn answer(mut self, answer: Vec<u8>) -> Self {
        self.answer = answer;
        self
    }

    /// With that code of `configure`.
    #[must_use]
    pub fn configure(mut self, configure: impl Into<String>) -> Self {
        self.configure = configure.into();
        self
    }

    /// With imports, and functions of its own after them.
    #[must_use]
    pub fn before(mut self, before: impl Into<String>) -> Self {
        self.before = before.into();
        self
    }

    /// With that many pages of memory, of 64 KiB.
    #[must_use]
    pub fn pages(mut self, pages: u32) -> Self {
        self.pages = pages;
        self
    }

    /// The two functions that it exports.
    pub fn functions(&self) -> String {
        let (interface, name) = (self.point.interface(), self.point.question());
        format!(
            r#"(func (export "{interface}#configure") (param $settings i32) (param $length i32) (result i32)
                 (global.set $top (i32.const 65536))
                 {})
               (func (export "{interface}#{name}") {} (result i32) (local $at i32)
                 (global.set $top (i32.const 65536))
                 {})"#,
            self.configure,
            self.point.parameters(),
            self.question
        )
    }

    /// The core module, in text.
    pub fn module(&self) -> String {
        module(&self.before, &self.functions(), &self.answer, self.pages)
    }

    /// The component, of the contract's own world.
    pub fn component(&self) -> Vec<u8> {
        component(self.point.world(), &self.module())
    }

    /// The component, of a world that imports those interfaces as well; see [`component_of`] for `packages`.
    pub fn component_importing(&self, packages: &[&str], imports: &[&str]) -> Vec<u8> {
        let imports: String = imports.iter().map(|interface| format!("import {interface};")).collect();
        let export = self.point.interface();
        let world = format!("package test:guest; world guest {{ {imports} export {export}; }}");
        component_of(&[packages, &[&contract(), &world]].concat(), &self.module())
    }
}

/// A core module with memory, and an allocator that takes what is asked of it.
pub fn module(before: &str, functions: &str, answer: &[u8], pages: u32) -> String {
    let bytes: String = answer.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        r#"(module
             {before}
             (memory (export "memory") {pages})
             (global $top (mut i32) (i32.const 65536))
             (data (i32.const {REFUSAL}) (i32 1 80 15))
             (data (i32.const 80) "unknown setting")
             (data (i32.const {ANSWER}) "{bytes}")
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
               (local.set $at
                 (i32.and
                   (i32.sub (i32.add (global.get $top) (local.get 2)) (i32.const 1))
                   (i32.sub (i32.const 0) (local.get 2))))
               (global.set $top (i32.add (local.get $at) (local.get 3)))
               (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
                 (then (drop (memory.grow
                   (i32.sub
                     (i32.shr_u (i32.add (global.get $top) (i32.const 65535)) (i32.const 16))
                     (memory.size))))))
               (local.get $at))
             {functions})"#
    )
}

/// A component of a world of the contract.
pub fn component(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit()).expect("the contract of this repository is sound");
    let world = resolve.select_world(&[package], Some(world)).expect("a world of the contract");
    encode(&resolve, world, module)
}

/// A component of a world of one's own: `packages` are the texts of WIT packages, each after those that it uses; the
/// world is `guest` in the last.
pub fn component_of(packages: &[&str], module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for (at, package) in packages.iter().enumerate() {
        last = Some(resolve.push_str(format!("{at}.wit"), package).expect("a package as a test wrote it"));
    }
    let world = resolve.select_world(last.as_slice(), Some("guest")).expect("a world `guest` as a test wrote it");
    encode(&resolve, world, module)
}

/// The text of the contract.
pub fn contract() -> String {
    std::fs::read_to_string(wit().join("servos-plugin.wit")).expect("the contract lies in this repository")
}

fn wit() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

fn encode(resolve: &Resolve, world: WorldId, module: &str) -> Vec<u8> {
    let mut wasm = wat::parse_str(module).unwrap_or_else(|error| panic!("a guest's text is wrong: {error}\n{module}"));
    embed_component_metadata(&mut wasm, resolve, world, StringEncoding::UTF8).expect("metadata fits any module");
    let component = ComponentEncoder::default().module(&wasm).and_then(|encoder| encoder.validate(true).encode());
    component.unwrap_or_else(|error| panic!("a guest does not fit its world: {error:#}\n{module}"))
}
