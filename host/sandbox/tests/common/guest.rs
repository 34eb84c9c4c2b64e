//! Guests for these tests, made of the shared parts of `servos-hostile-guests`.

#![allow(dead_code, reason = "each test file uses its part")]

use servos_hostile_guests::answers::{self, Rule, Source};
use servos_hostile_guests::code::{ANSWER, Code, Point};

/// Returns the pointer to [`ANSWER`].
pub const CANNED: &str = "(i32.const 1024)";

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
        self.code().module()
    }

    pub fn component(&self) -> Vec<u8> {
        self.code().component()
    }

    fn code(&self) -> Code {
        Code::new(Point::Naming, &self.resolve)
            .configure(&self.configure)
            .answer(self.answer.clone())
            .before(&self.imports)
            .pages(self.pages)
    }
}

/// A guest of the world `weighting-plugin` that answers those weights.
pub fn weighting(weights: &[u16]) -> Vec<u8> {
    let mut answer = answers::list_at(ANSWER + 8, weights.len());
    answer.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
    Code::new(Point::Weighting, CANNED).configure("(i32.const 16)").answer(answer).component()
}

/// A rule: first port, last port, reason.
pub type Ports = (u16, u16, &'static str);

/// A guest of the world `policy-plugin` that allows those ports, over TCP, from anywhere.
pub fn policy(rules: &[Ports]) -> Vec<u8> {
    let rule = |&(first, last, reason): &Ports| Rule {
        action: 0,
        transport: 0,
        ports: (first, last),
        source: Source::Anywhere,
        reason,
    };
    let rules: Vec<_> = rules.iter().map(rule).collect();
    Code::new(Point::Policy, CANNED).configure("(i32.const 16)").answer(answers::rules(&rules)).component()
}

/// An answer of one PTR or SRV record.
pub fn target_record(tag: u32, port: u16, target: &str) -> Vec<u8> {
    answers::target_record(tag, port, target.as_bytes())
}
