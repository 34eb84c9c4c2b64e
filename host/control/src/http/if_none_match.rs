//! `If-None-Match` (RFC 9110 §13.1.2): a list of entity tags, or `*`. Pure.

/// What a client says that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfNoneMatch {
    /// `*`: whatever there is.
    Any,
    /// One of these, quotes included, without the mark of weakness. Empty if it says nothing that can be read.
    Tags(Vec<Vec<u8>>),
}

impl IfNoneMatch {
    /// Reads the values of all header fields of that name. A value that follows no grammar counts for nothing: the
    /// client then gets the whole, which is never wrong.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut tags = Vec::new();
        let mut stars = 0;
        for value in values {
            if value.trim_ascii() == b"*" {
                stars += 1;
            } else {
                tags.extend(parse_list(value).unwrap_or_default());
            }
        }
        if stars == 1 && tags.is_empty() { Self::Any } else { Self::Tags(tags) }
    }

    /// Whether the client has what `etag`, a strong tag with its quotes, stands for. Compared weakly: `W/"1"` matches
    /// `"1"` (RFC 9110 §8.8.3.2).
    pub fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag == etag.as_bytes()),
        }
    }
}

/// A list with empty elements allowed (RFC 9110 §5.6.1.2). None if it is malformed.
fn parse_list(mut rest: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut tags = Vec::new();
    loop {
        rest = skip_blanks(rest);
        while let Some(behind) = rest.strip_prefix(b",") {
            rest = skip_blanks(behind);
        }
        if rest.is_empty() {
            return Some(tags);
        }
        let (tag, behind) = parse_tag(rest)?;
        tags.push(tag.to_vec());
        rest = skip_blanks(behind);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

/// `[W/]"…"`; returns it without `W/`, and what follows.
fn parse_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"W/").unwrap_or(text);
    let inner = text.strip_prefix(b"\"")?;
    let length = inner.iter().position(|&byte| byte == b'"')?;
    let is_tag_character = |&byte: &u8| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80;
    inner[..length].iter().all(is_tag_character).then(|| text.split_at(length + 2))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    &text[start..]
}
