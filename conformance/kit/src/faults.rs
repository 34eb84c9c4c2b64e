//! Which check a fault fails: the sandbox says what went wrong, the catalogue has a name for it.

use servos_sandbox::policy::RuleError;
use servos_sandbox::validate::AnswerError;
use servos_sandbox::{Fault, LoadError, Unanswered};
use wasmtime::Trap;

use crate::CheckId;

/// What the engine says where more crosses to the host than may.
const TOO_MUCH: &str = "too much data is being copied";

/// What the engine says where a function has another type than the contract.
const OTHER_TYPE: &str = "expected `";

/// The check that a plugin fails which does not load; none if it is not to blame.
pub(crate) fn of_load(error: &LoadError) -> Option<CheckId> {
    Some(match error {
        LoadError::NotWasm | LoadError::CoreModule | LoadError::Compile(_) => CheckId::Component,
        LoadError::NoExtensionPoint | LoadError::OtherVersion(_) | LoadError::SeveralExtensionPoints => {
            CheckId::Contract
        }
        // The file beside it is at fault.
        LoadError::NothingToKeep(_) => CheckId::SettingsTaken,
        LoadError::NotGranted { .. } => CheckId::Grants,
        LoadError::Link(why) if why.contains("imports") => CheckId::Grants,
        LoadError::Link(_) => CheckId::Contract,
        // Types of functions are compared once there is an instance.
        LoadError::Start(Fault::Trap(why)) if why.starts_with(OTHER_TYPE) => CheckId::Contract,
        LoadError::Start(fault) => of_start(fault),
        LoadError::Trial(Unanswered::Fault(fault)) => of_call(fault),
        LoadError::Trial(_) | LoadError::PoolFull => return None,
    })
}

/// The check that a plugin fails which does not start.
pub(crate) fn of_start(fault: &Fault) -> CheckId {
    match fault {
        Fault::Settings(_) => CheckId::SettingsTaken,
        Fault::Memory { .. } => CheckId::Memory,
        Fault::Deadline(_) | Fault::Trap(_) | Fault::Answer(_) => CheckId::ConfigureSound,
    }
}

/// The check that a call fails.
pub(crate) fn of_call(fault: &Fault) -> CheckId {
    match fault {
        Fault::Deadline(_) => CheckId::Deadline,
        Fault::Memory { .. } => CheckId::Memory,
        Fault::Settings(_) => CheckId::SettingsTaken,
        Fault::Answer(error) => of_answer(error),
        Fault::Trap(message) if message.contains(TOO_MUCH) => CheckId::AnswerSize,
        Fault::Trap(message) if is_trap(message) => CheckId::NoTrap,
        // What the engine says of values that it cannot take over.
        Fault::Trap(_) => CheckId::WellFormed,
    }
}

/// Whether the guest itself trapped, or WASI refused it something.
fn is_trap(message: &str) -> bool {
    let named = |trap: Trap| trap.to_string().ends_with(message);
    message.contains("wasi:") || (0..=u8::MAX).filter_map(Trap::from_u8).any(named)
}

fn of_answer(error: &AnswerError) -> CheckId {
    match error {
        AnswerError::AnswerCount(_) => CheckId::AnswerCount,
        AnswerError::RecordType { .. } => CheckId::AnswerType,
        AnswerError::Address(_) => CheckId::AnswerAddress,
        AnswerError::Name(_) => CheckId::AnswerName,
        AnswerError::SrvPort => CheckId::AnswerSrv,
        AnswerError::Txt => CheckId::AnswerTxt,
        AnswerError::WeightCount { .. } => CheckId::WeightCount,
        AnswerError::Weight { .. } => CheckId::WeightRange,
        AnswerError::RuleCount(_) => CheckId::RuleCount,
        AnswerError::Rule { source, .. } => match source {
            RuleError::Ports { .. } => CheckId::RulePorts,
            RuleError::Network { .. } => CheckId::RuleNetwork,
            RuleError::Reason(_) => CheckId::RuleReason,
        },
    }
}
