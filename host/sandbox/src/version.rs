//! The version that a plugin gives itself, where WebAssembly's tools keep it: in a custom section of its outermost
//! component.

use wasmparser::{Parser, Payload};

use crate::limits::MAX_VERSION;

/// Name of the section; its content is text.
pub const SECTION: &str = "version";

/// The version of a component; none if it gives none, or something that is no word of printable ASCII.
pub fn version(wasm: &[u8]) -> Option<String> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.checked_sub(1)?,
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                let text = std::str::from_utf8(section.data()).ok()?;
                let is_word =
                    (1..=MAX_VERSION).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
                return is_word.then(|| text.to_owned());
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component, or what lies in one, with sections behind its header.
    fn with(header: &[u8], sections: &[u8]) -> Vec<u8> {
        [b"\0asm", header, sections].concat()
    }

    fn section(text: &[u8]) -> Vec<u8> {
        let name = [&[SECTION.len() as u8], SECTION.as_bytes()].concat();
        [&[0, (name.len() + text.len()) as u8], &name[..], text].concat()
    }

    const COMPONENT: [u8; 4] = [13, 0, 1, 0];
    const MODULE: [u8; 4] = [1, 0, 0, 0];

    #[test]
    fn a_word_of_printable_ascii_in_the_outermost_component() {
        let of = |text: &[u8]| version(&with(&COMPONENT, &section(text)));
        assert_eq!(of(b"1.2.3-rc.1+build").as_deref(), Some("1.2.3-rc.1+build"));
        assert_eq!(of(&[b'1'; MAX_VERSION]).map(|text| text.len()), Some(MAX_VERSION));
        for odd in [&b""[..], &[b'1'; MAX_VERSION + 1], b"1\n2", b"1 2", b"\x1b[31m", b"\xff"] {
            assert_eq!(of(odd), None, "{odd:?}");
        }
        assert_eq!(version(b"no component"), None);
        assert_eq!(version(&with(&COMPONENT, &[])), None);
    }

    #[test]
    fn what_lies_within_has_a_version_of_its_own() {
        let module = with(&MODULE, &section(b"7"));
        let nested = [&[1, module.len() as u8], &module[..]].concat();
        assert_eq!(version(&with(&COMPONENT, &nested)), None);
        let both = [nested, section(b"8")].concat();
        assert_eq!(version(&with(&COMPONENT, &both)).as_deref(), Some("8"));
    }
}
