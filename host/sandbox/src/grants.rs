//! What a plugin may import: what its manifest grants, or what every plugin may where it grants nothing by name.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits::{MAX_GRANT_BYTES, MAX_GRANTS};
use crate::{LoadError, contract_names};

/// All interfaces of WASI: of no effect but on clocks, random numbers and the log, since it is linked empty.
const WASI: &str = "wasi";

/// The imports that are granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// None: whatever the sandbox links.
    named: Option<Vec<String>>,
}

impl Grants {
    /// Exactly those: `log` and `directory` of the contract, `wasi`, or one interface such as `wasi:clocks/wall-clock`.
    ///
    /// # Errors
    ///
    /// [`GrantError`] if one is none of these, or there are too many.
    pub fn named(imports: Vec<String>) -> Result<Self, GrantError> {
        if imports.len() > MAX_GRANTS {
            return Err(GrantError::TooMany);
        }
        match imports.iter().find(|import| !is_grant(import)) {
            Some(wrong) => Err(GrantError::None(crate::fault::shown(wrong))),
            None => Ok(Self { named: Some(imports) }),
        }
    }

    fn allow(&self, import: &str) -> bool {
        let Some(named) = &self.named else { return true };
        let is_wasi = import.starts_with("wasi:");
        named.iter().any(|grant| grant == import || (is_wasi && grant == WASI))
    }
}

fn is_grant(text: &str) -> bool {
    let interface = || {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-:/".contains(&byte);
        text.starts_with("wasi:") && text.len() <= MAX_GRANT_BYTES && text.bytes().all(fine)
    };
    matches!(text, "log" | "directory" | WASI) || interface()
}

/// What a component imports that does anything, as a manifest names it, sorted.
///
/// # Errors
///
/// [`LoadError::NotGranted`] with the line to add, if something of that is not granted.
pub(crate) fn check(component: &Component, engine: &Engine, grants: &Grants) -> Result<Vec<String>, LoadError> {
    let mut imports: Vec<_> = component
        .component_type()
        .imports(engine)
        .filter_map(|(name, _)| contract_names::grant(name))
        .map(str::to_owned)
        .collect();
    imports.sort();
    imports.dedup();
    match imports.iter().find(|import| !grants.allow(import)) {
        None => Ok(imports),
        Some(refused) => Err(LoadError::NotGranted { import: refused.clone(), line: format!("imports = {imports:?}") }),
    }
}

/// Why grants are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// One that is none.
    #[error("{0:?} is none of log, directory, wasi, or an interface of WASI such as wasi:io/poll")]
    None(String),
    /// More than there can be.
    #[error("{MAX_GRANTS} at most")]
    TooMany,
}
