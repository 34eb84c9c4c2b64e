//! Weighting plugins that err when they weigh `api`.

use crate::code::{Code, Point};
use crate::{Guest, InAgent};

pub(crate) fn guests() -> Vec<Guest> {
    let faults = |fault, check, said, code: &str| guest(fault, check, InAgent::Faults(said), code);
    let unseen = |fault, check, code: &str| guest(fault, check, InAgent::Unseen, code);
    let resized =
        |operation: &str| format!("(i32.store (i32.const 1028) ({operation} (local.get $count) (i32.const 1)))");
    let weight = |weight: &str| format!("(i32.store16 (local.get $candidates) {weight})");
    // An odd address for a list of numbers of two bytes.
    let misplaced = "(i32.store (i32.const 1024) (i32.or (local.get $candidates) (i32.const 1)))";
    let by_count = format!(
        "(i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1))) {}",
        weight("(i32.add (i32.const 50) (i32.and (i32.load (i32.const 512)) (i32.const 1)))")
    );
    let nobody = "(memory.fill (local.get $candidates) (i32.const 0) (i32.shl (local.get $count) (i32.const 1)))";
    vec![
        faults("traps-on-a-service", "no-trap", "unreachable", "unreachable"),
        faults("weighs-too-few", "weight-count", "weights for", &resized("i32.sub")),
        faults("weighs-too-many", "weight-count", "weights for", &resized("i32.add")),
        faults("weighs-too-much", "weight-range", "weight 1001", &weight("(i32.const 1001)")),
        faults("weighs-most-of-all", "weight-range", "weight 65535", &weight("(i32.const 0xffff)")),
        faults("weighs-at-odd-places", "well-formed", "trapped", misplaced),
        unseen("weighs-nobody", "weight-of-healthy", nobody),
        unseen("weighs-by-its-calls", "same-again", &by_count),
        Guest {
            fault: "loops-over-many",
            check: "large-services",
            in_agent: InAgent::Unseen,
            wasm: weighing("(i32.ge_u (local.get $count) (i32.const 10000))", "(loop $l (br $l))"),
        },
    ]
}

/// Does that when it weighs a service whose name has three bytes, such as `api`, and that has instances.
fn guest(fault: &'static str, check: &'static str, in_agent: InAgent, code: &str) -> Guest {
    let api = "(i32.and (i32.eq (local.get $length) (i32.const 3)) (i32.ne (local.get $count) (i32.const 0)))";
    Guest { fault, check, in_agent, wasm: weighing(api, code) }
}

/// Gives each candidate the weight 100, in the memory in which the candidates lie; then does that, under a condition.
fn weighing(condition: &str, code: &str) -> Vec<u8> {
    let question = format!(
        "(i32.store (i32.const 1024) (local.get $candidates))
         (i32.store (i32.const 1028) (local.get $count))
         (block $done
           (loop $next
             (br_if $done (i32.ge_u (local.get $at) (local.get $count)))
             (i32.store16
               (i32.add (local.get $candidates) (i32.shl (local.get $at) (i32.const 1))) (i32.const 100))
             (local.set $at (i32.add (local.get $at) (i32.const 1)))
             (br $next)))
         (if {condition} (then {code}))
         (i32.const 1024)"
    );
    Code::new(Point::Weighting, question).component()
}
