//! What is judged: every check of the kit, with its name, what it means, and whom it concerns.

use std::fmt;

use serde::{Serialize, Serializer};
use servos_sandbox::Kind;

/// A check. In the order in which a report shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckId {
    /// `component`
    Component,
    /// `contract`
    Contract,
    /// `grants`
    Grants,
    /// `settings-taken`
    SettingsTaken,
    /// `settings-refused`
    SettingsRefused,
    /// `configure-sound`
    ConfigureSound,
    /// `no-trap`
    NoTrap,
    /// `deadline`
    Deadline,
    /// `memory`
    Memory,
    /// `log-rate`
    LogRate,
    /// `well-formed`
    WellFormed,
    /// `answer-size`
    AnswerSize,
    /// `same-again`
    SameAgain,
    /// `same-elsewhere`
    SameElsewhere,
    /// `same-later`
    SameLater,
    /// `answer-count`
    AnswerCount,
    /// `answer-type`
    AnswerType,
    /// `answer-address`
    AnswerAddress,
    /// `answer-name`
    AnswerName,
    /// `answer-srv`
    AnswerSrv,
    /// `answer-txt`
    AnswerTxt,
    /// `nobodys-name`
    NobodysName,
    /// `weight-count`
    WeightCount,
    /// `weight-range`
    WeightRange,
    /// `weight-of-healthy`
    WeightOfHealthy,
    /// `large-services`
    LargeServices,
    /// `rule-count`
    RuleCount,
    /// `rule-ports`
    RulePorts,
    /// `rule-network`
    RuleNetwork,
    /// `rule-reason`
    RuleReason,
    /// `rule-ssh-closed`
    RuleSshClosed,
    /// `rule-ssh-open`
    RuleSshOpen,
    /// `rule-wireguard`
    RuleWireguard,
    /// `rule-conflict`
    RuleConflict,
}

impl CheckId {
    /// All there are.
    pub const ALL: [Self; 34] = [
        Self::Component,
        Self::Contract,
        Self::Grants,
        Self::SettingsTaken,
        Self::SettingsRefused,
        Self::ConfigureSound,
        Self::NoTrap,
        Self::Deadline,
        Self::Memory,
        Self::LogRate,
        Self::WellFormed,
        Self::AnswerSize,
        Self::SameAgain,
        Self::SameElsewhere,
        Self::SameLater,
        Self::AnswerCount,
        Self::AnswerType,
        Self::AnswerAddress,
        Self::AnswerName,
        Self::AnswerSrv,
        Self::AnswerTxt,
        Self::NobodysName,
        Self::WeightCount,
        Self::WeightRange,
        Self::WeightOfHealthy,
        Self::LargeServices,
        Self::RuleCount,
        Self::RulePorts,
        Self::RuleNetwork,
        Self::RuleReason,
        Self::RuleSshClosed,
        Self::RuleSshOpen,
        Self::RuleWireguard,
        Self::RuleConflict,
    ];

    /// Those that a file passes on its way to become a plugin, in their order.
    pub(crate) const LOADING: [Self; 3] = [Self::Component, Self::Contract, Self::Grants];

    /// Its name, stable: what a pipeline may look for.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// What a plugin that passes does, in a sentence.
    pub fn meaning(self) -> &'static str {
        self.entry().1
    }

    /// The extension point whose plugins it concerns; none: all.
    pub fn kind(self) -> Option<Kind> {
        use CheckId::*;
        match self {
            AnswerCount | AnswerType | AnswerAddress | AnswerName | AnswerSrv | AnswerTxt | NobodysName => {
                Some(Kind::Naming)
            }
            WeightCount | WeightRange | WeightOfHealthy | LargeServices => Some(Kind::Weighting),
            RuleCount | RulePorts | RuleNetwork | RuleReason | RuleSshClosed | RuleSshOpen | RuleWireguard
            | RuleConflict => Some(Kind::Policy),
            _ => None,
        }
    }

    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Component => ("component", "the file is a WebAssembly component, and compiles"),
            Self::Contract => (
                "contract",
                "it exports one extension point, of the version that is served, with the functions and types of the \
                 contract",
            ),
            Self::Grants => ("grants", "it imports what it is granted and nothing else"),
            Self::SettingsTaken => ("settings-taken", "it takes the settings that it is judged with"),
            Self::SettingsRefused => {
                ("settings-refused", "unknown settings, and values of another type, are refused with a message")
            }
            Self::ConfigureSound => {
                ("configure-sound", "`configure` returns in time and without a trap, whatever the settings")
            }
            Self::NoTrap => {
                ("no-trap", "no question makes it trap: no panic, no division by zero, no endless recursion")
            }
            Self::Deadline => ("deadline", "every question is answered within the deadline of a call"),
            Self::Memory => ("memory", "it keeps within its memory ceiling, from the start on"),
            Self::LogRate => ("log-rate", "one call does not write more than the log takes"),
            Self::WellFormed => {
                ("well-formed", "what it hands over is well-formed: pointers, lengths, tags, and text in UTF-8")
            }
            Self::AnswerSize => ("answer-size", "no answer is longer than may cross to the host"),
            Self::SameAgain => ("same-again", "asked again, one instance answers the same"),
            Self::SameElsewhere => ("same-elsewhere", "a fresh instance, asked in another order, answers the same"),
            Self::SameLater => ("same-later", "asked at another time, by the wall clock, it answers the same"),
            Self::AnswerCount => ("answer-count", "1 to 64 answers, where there are answers"),
            Self::AnswerType => ("answer-type", "answers are of the type that was asked for"),
            Self::AnswerAddress => {
                ("answer-address", "addresses are those of servers of the mesh, or of this server's proxy")
            }
            Self::AnswerName => ("answer-name", "names in answers are names that DNS can carry"),
            Self::AnswerSrv => ("answer-srv", "no SRV record has port 0"),
            Self::AnswerTxt => {
                ("answer-txt", "a TXT record has texts, each of 255 bytes at most and 1,024 with all others")
            }
            Self::NobodysName => ("nobodys-name", "names beneath `.invalid` are nobody's (RFC 6761), also not its own"),
            Self::WeightCount => ("weight-count", "one weight a candidate"),
            Self::WeightRange => ("weight-range", "a weight is 0 to 1,000"),
            Self::WeightOfHealthy => ("weight-of-healthy", "where instances work, one of them has a weight above 0"),
            Self::LargeServices => {
                ("large-services", "10,000 candidates are weighed within its limits; that 100,000 are not is a warning")
            }
            Self::RuleCount => ("rule-count", "at most 256 rules"),
            Self::RulePorts => ("rule-ports", "ports are 1 to 65535, the lower first"),
            Self::RuleNetwork => ("rule-network", "a network has at most 32 bits, and none set behind them"),
            Self::RuleReason => ("rule-reason", "a reason has letters, digits, space and `-_./:`, 64 bytes at most"),
            Self::RuleSshClosed => ("rule-ssh-closed", "no rule closes or limits SSH"),
            Self::RuleSshOpen => ("rule-ssh-open", "no rule opens SSH to the world; that is for the operator to do"),
            Self::RuleWireguard => ("rule-wireguard", "no rule closes or limits WireGuard's port"),
            Self::RuleConflict => {
                ("rule-conflict", "rules do not contradict each other, and can be said to the firewall")
            }
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for CheckId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The catalogue as a table of Markdown.
pub fn table() -> String {
    let row = |check: &CheckId| {
        let concerns = check.kind().map_or("every plugin", Kind::as_str);
        format!("| `{}` | {concerns} | {} |\n", check.name(), check.meaning())
    };
    let rows: String = CheckId::ALL.iter().map(row).collect();
    format!("| check | concerns | a plugin that passes |\n|---|---|---|\n{rows}")
}
