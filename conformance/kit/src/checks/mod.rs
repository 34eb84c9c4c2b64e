//! The checks, by extension point. Each is a function that says what it saw, or what was wrong.
//!
//! That an answer is sound (addresses of the mesh, a weight a candidate, well-formed rules) and in time is what the
//! sandbox itself looks at: a check has merely to ask.

pub(crate) mod naming;
pub(crate) mod policy;
pub(crate) mod settings;
pub(crate) mod weighting;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use servos_sandbox::{Plugin, Unanswered};

use crate::subject::Subject;

/// Asks everything once.
fn ask_all<Q, A>(
    subject: &Subject<'_>,
    questions: &[Q],
    describe: impl Fn(&Q) -> String,
    ask: impl Fn(&Plugin, &Q) -> Result<A, Unanswered>,
) -> Result<String, String> {
    let plugin = subject.fresh()?;
    let mut slowest = Duration::ZERO;
    for question in questions {
        let began = Instant::now();
        ask(&plugin, question).map_err(|error| format!("{}: {error}", describe(question)))?;
        slowest = slowest.max(began.elapsed());
    }
    Ok(format!("{} questions, the slowest in {} µs", questions.len(), slowest.as_micros()))
}

/// Asks everything twice, in two orders, of two instances: the answers must be the same.
fn ask_twice<Q, A: PartialEq + Debug>(
    subject: &Subject<'_>,
    questions: &[Q],
    describe: impl Fn(&Q) -> String,
    ask: impl Fn(&Plugin, &Q) -> Result<A, Unanswered>,
) -> Result<String, String> {
    let (one, other) = (subject.fresh()?, subject.fresh()?);
    let answer = |plugin: &Plugin, question: &Q| {
        ask(plugin, question).map_err(|error| format!("{}: {error}", describe(question)))
    };
    let first: Vec<A> = questions.iter().map(|question| answer(&one, question)).collect::<Result<_, _>>()?;
    let again = questions.iter().map(|question| answer(&one, question)).collect::<Result<Vec<_>, _>>()?;
    let mut backwards =
        questions.iter().rev().map(|question| answer(&other, question)).collect::<Result<Vec<_>, _>>()?;
    backwards.reverse();
    for (at, question) in questions.iter().enumerate() {
        for repeated in [&again[at], &backwards[at]] {
            if first[at] != *repeated {
                return Err(format!("{}: first {:?}, then {repeated:?}", describe(question), first[at]));
            }
        }
    }
    Ok(format!("{} questions, three times each, of two instances", questions.len()))
}
