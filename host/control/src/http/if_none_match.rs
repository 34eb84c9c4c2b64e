//! `If-None-Match` (RFC 9110 §13.1.2): a list of entity tags, or `*`. Pure.

/// What a client says that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfNoneMatch {
    /// `*`: whatever there is.
    Any,
    /// One of these. Empty if it says nothing that can be read.
    Tags(Vec<EntityTag>),
}

/// An entity tag as a client writes it (RFC 9110 §8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag {
    /// `W/`: of something as good as what was sent, and perhaps not the same bytes.
    pub weak: bool,
    /// Quotes included.
    pub opaque: Vec<u8>,
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
            Self::Tags(tags) => tags.iter().any(|tag| tag.opaque == etag.as_bytes()),
        }
    }

    /// The tags, quotes included, of what the client has to the byte: what a delta may lead on from.
    pub fn strong(&self) -> impl Iterator<Item = &[u8]> {
        let tags = match self {
            Self::Any => &[],
            Self::Tags(tags) => tags.as_slice(),
        };
        tags.iter().filter(|tag| !tag.weak).map(|tag| tag.opaque.as_slice())
    }
}

/// A list with empty elements allowed (RFC 9110 §5.6.1.2). None if it is malformed.
fn parse_list(mut rest: &[u8]) -> Option<Vec<EntityTag>> {
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
        tags.push(tag);
        rest = skip_blanks(behind);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

/// `[W/]"…"`; returns it, and what follows.
fn parse_tag(written: &[u8]) -> Option<(EntityTag, &[u8])> {
    let text = written.strip_prefix(b"W/").unwrap_or(written);
    let inner = text.strip_prefix(b"\"")?;
    let length = inner.iter().position(|&byte| byte == b'"')?;
    let is_tag_character = |&byte: &u8| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80;
    let (opaque, behind) = text.split_at(length + 2);
    let tag = EntityTag { weak: text.len() < written.len(), opaque: opaque.to_vec() };
    inner[..length].iter().all(is_tag_character).then_some((tag, behind))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    &text[start..]
}
