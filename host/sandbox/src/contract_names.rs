//! What the names of a component's imports and exports say in words of the contract.

use crate::Kind;

/// Package of the contract.
const PACKAGE: &str = "servos:plugin/";

/// Types alone, which do nothing.
const TYPES: &str = "types";

/// The extension point that an interface is, and its version: of `servos:plugin/naming@0.1.0`, naming and `0.1.0`.
pub fn extension_point(interface: &str) -> Option<(Kind, &str)> {
    let (name, version) = interface.strip_prefix(PACKAGE)?.split_once('@')?;
    Some((Kind::ALL.into_iter().find(|kind| kind.as_str() == name)?, version))
}

/// The world of an extension point, for example `servos:plugin/naming-plugin@0.1.0`.
pub fn world(kind: Kind, version: &str) -> String {
    format!("{PACKAGE}{kind}-plugin@{version}")
}

/// What an import is called in `[grants]`: `directory` for `servos:plugin/directory@0.1.0`, `wasi:io/poll` for
/// `wasi:io/poll@0.2.6`. None for what does nothing, and needs no grant.
pub fn grant(import: &str) -> Option<&str> {
    let name = import.split_once('@').map_or(import, |(name, _)| name);
    let name = name.strip_prefix(PACKAGE).unwrap_or(name);
    (name != TYPES).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are() {
        assert_eq!(extension_point("servos:plugin/naming@0.1.0"), Some((Kind::Naming, "0.1.0")));
        assert_eq!(extension_point("servos:plugin/directory@0.1.0"), None);
        assert_eq!(extension_point("acme:plugin/naming@0.1.0"), None);
        assert_eq!(world(Kind::Policy, "0.1.7"), "servos:plugin/policy-plugin@0.1.7");
        assert_eq!(grant("servos:plugin/directory@0.1.0"), Some("directory"));
        assert_eq!(grant("wasi:io/poll@0.2.6"), Some("wasi:io/poll"));
        assert_eq!(grant("servos:plugin/types@0.1.0"), None);
    }
}
