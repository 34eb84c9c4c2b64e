//! The exam: what is asked of every plugin, whatever its extension point. An extension point says how it is asked, and
//! what is wrong with an answer that the sandbox lets through.

use std::fmt::Debug;
use std::time::Instant;

use servos_sandbox::limits::LOG_BURST;
use servos_sandbox::{Plugin, Unanswered};

use crate::findings::Findings;
use crate::limits::{FAULTS_A_SERIES, TIMED_CALLS, TIMED_FOR};
use crate::subject::{Subject, Time};
use crate::{CheckId, Latency, faults};

/// A question of an extension point.
pub(crate) trait Question {
    /// What is answered.
    type Answer: PartialEq + Debug;

    /// Asks it.
    fn ask(&self, plugin: &Plugin) -> Result<Self::Answer, Unanswered>;

    /// In words.
    fn describe(&self) -> String;

    /// What is wrong with an answer although it is well-formed.
    fn objections(&self, answer: &Self::Answer) -> Vec<(CheckId, String)>;
}

/// Asks `everyday` questions again and again, and `odd` ones once; says how long the everyday ones took.
pub(crate) fn sit<Q: Question>(
    subject: &Subject<'_>,
    everyday: &[Q],
    odd: &[Q],
    findings: &mut Findings,
) -> Option<Latency> {
    let mut series = Series::new(subject, Time::Present);
    let mut answered = |question: &Q| {
        let Some(answer) = series.ask(question, findings) else { return false };
        for (check, problem) in question.objections(&answer) {
            findings.fault(check, format!("{}: {problem}", question.describe()));
        }
        true
    };
    // What fails once is not asked again.
    let sound: Vec<&Q> = everyday.iter().filter(|question| answered(question)).collect();
    odd.iter().for_each(|question| {
        answered(question);
    });
    findings.seen(CheckId::NoTrap, format!("{} questions", everyday.len() + odd.len()));
    same(subject, &sound, findings);
    latency(subject, &sound)
}

/// Questions put to one plugin, and to a fresh one after each fault.
pub(crate) struct Series<'a> {
    subject: &'a Subject<'a>,
    time: Time,
    plugin: Option<Plugin>,
    faults: usize,
}

impl<'a> Series<'a> {
    pub fn new(subject: &'a Subject<'a>, time: Time) -> Self {
        Self { subject, time, plugin: None, faults: 0 }
    }

    /// The answer; none after a fault, which is noted.
    pub fn ask<Q: Question>(&mut self, question: &Q, findings: &mut Findings) -> Option<Q::Answer> {
        match self.try_ask(question, findings)? {
            Ok(answer) => Some(answer),
            Err(fault) => {
                findings.fault(faults::of_call(&fault), format!("{}: {fault}", question.describe()));
                None
            }
        }
    }

    /// The answer, or the fault, which is not noted; none if the plugin cannot be asked.
    pub fn try_ask<Q: Question>(
        &mut self,
        question: &Q,
        findings: &mut Findings,
    ) -> Option<Result<Q::Answer, servos_sandbox::Fault>> {
        if self.faults >= FAULTS_A_SERIES {
            return None;
        }
        let plugin = match self.plugin.take() {
            Some(plugin) => plugin,
            None => match self.subject.fresh(self.time) {
                Ok(plugin) => plugin,
                Err(error) => {
                    self.faults = FAULTS_A_SERIES;
                    let check = faults::of_load(&error)?;
                    findings.fault(check, format!("loaded again: {error}"));
                    return None;
                }
            },
        };
        let before = plugin.log_lines_dropped();
        let answered = question.ask(&plugin);
        let dropped = plugin.log_lines_dropped() - before;
        // Fewer may be lines that calls before this one left no room for.
        if dropped > u64::from(LOG_BURST) {
            findings.fault(CheckId::LogRate, format!("{}: {dropped} lines were dropped", question.describe()));
        }
        match answered {
            Ok(answer) => {
                self.plugin = Some(plugin);
                Some(Ok(answer))
            }
            Err(Unanswered::Fault(fault)) => {
                self.faults += 1;
                Some(Err(fault))
            }
            // None of its own doing: a plugin that has just been loaded is not at rest.
            Err(_) => None,
        }
    }
}

/// Same mesh, same question, same answer: of one instance, of another, and at another time. What is found first is all
/// that is told, since a whim shows everywhere.
fn same<Q: Question>(subject: &Subject<'_>, questions: &[&Q], findings: &mut Findings) {
    let differs = |question: &Q, first: &Q::Answer, then: &Q::Answer| {
        format!("{}: first {first:?}, then {then:?}", question.describe())
    };
    let mut one = Series::new(subject, Time::Present);
    let mut first = Vec::new();
    for &question in questions {
        let (answer, again) = (one.ask(question, findings), one.ask(question, findings));
        if let (Some(answer), Some(again)) = (&answer, &again)
            && answer != again
        {
            findings.fault(CheckId::SameAgain, differs(question, answer, again));
        }
        first.push(answer);
    }
    for (check, time, backwards) in [
        (CheckId::SameAgain, None, false),
        (CheckId::SameElsewhere, Some(Time::Present), true),
        (CheckId::SameLater, Some(Time::Later), false),
    ] {
        let earlier = [CheckId::SameAgain, CheckId::SameElsewhere].into_iter().find(|&earlier| findings.has(earlier));
        if let Some(earlier) = earlier.filter(|&earlier| earlier != check) {
            findings.skip(check, format!("not judged: {earlier} failed already"));
            continue;
        }
        let mut other = time.map(|time| Series::new(subject, time));
        let series = other.as_mut().unwrap_or(&mut one);
        let mut order: Vec<_> = questions.iter().copied().zip(&first).collect();
        if backwards {
            order.reverse();
        }
        for (question, answer) in order {
            if let (Some(answer), Some(then)) = (answer, series.ask(question, findings))
                && *answer != then
            {
                findings.fault(check, differs(question, answer, &then));
            }
        }
    }
}

/// Times calls of a warm instance.
fn latency<Q: Question>(subject: &Subject<'_>, questions: &[&Q]) -> Option<Latency> {
    let plugin = subject.fresh(Time::Present).ok()?;
    for question in questions {
        question.ask(&plugin).ok()?;
    }
    let began = Instant::now();
    let mut calls = Vec::new();
    for question in questions.iter().cycle().take(TIMED_CALLS) {
        if began.elapsed() > TIMED_FOR {
            break;
        }
        let asked = Instant::now();
        if question.ask(&plugin).is_ok() {
            calls.push(asked.elapsed());
        }
    }
    Latency::of(calls)
}
