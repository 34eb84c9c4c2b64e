//! What a plugin can do wrong in a call.

use std::time::Duration;

use crate::limits::FAULT_TEXT;
use crate::validate::AnswerError;

/// A plugin broke the contract. Whatever the fault, the instance that it happened in is thrown away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The call ran past its deadline.
    #[error("ran past its deadline of {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The call ended after the guest was refused memory.
    #[error("wanted more memory than its ceiling of {mib} MiB (`memory_mib` in its file's [limits])")]
    Memory {
        /// The ceiling.
        mib: u32,
    },
    /// The guest trapped, or the engine stopped it.
    #[error("trapped: {0}")]
    Trap(String),
    /// The answer makes no sense.
    #[error("answered nonsense: {0}")]
    Answer(#[from] AnswerError),
    /// `configure` refused the settings.
    #[error("refused its settings: {0}")]
    Settings(String),
}

/// Why a plugin gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It tried, and failed.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// It is resting between two tries after a fault.
    #[error("rests after a fault")]
    Resting,
    /// It is set aside after repeated faults.
    #[error("is set aside after repeated faults (`servos-agent plugin reset` has it asked again)")]
    Quarantined,
    /// All its instances stayed busy for as long as a call may take, or the pool of all plugins is full.
    #[error("has no instance free")]
    Busy,
    /// It serves another extension point.
    #[error("serves another extension point")]
    OtherKind,
}

/// A text from a guest or an engine as it may be shown: one line, [`FAULT_TEXT`] characters, nothing unprintable.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (at, character) in text.trim().chars().enumerate() {
        if at == FAULT_TEXT {
            shown.push('…');
            break;
        }
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            other if other.is_control() => shown.extend(other.escape_default()),
            other => shown.push(other),
        }
    }
    shown
}
