//! Every limit of the plugin, each with its reason.

/// Rules of one answer: the contract's (`policy.rules`); an answer with more is refused whole.
pub(crate) const MAX_RULES: usize = 256;

/// Rules of the settings: half of all, so that what runs here has room beside them.
pub(crate) const MAX_SETTINGS_RULES: usize = 128;

/// Characters of a reason: the contract's (`policy.rule`).
pub(crate) const MAX_REASON: usize = 64;
