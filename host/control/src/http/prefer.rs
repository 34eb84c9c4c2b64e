//! `Prefer: wait=N` (RFC 7240 §2, §4.3): what the client asks for. What it gets is `limits::MAX_WAIT` at most. Pure.

use std::time::Duration;

/// How long the client is willing to wait: the first `wait` of all header fields of that name. None if there is none,
/// or one that cannot be read, which then counts for nothing.
pub fn wait<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Duration> {
    let values = values.into_iter().filter_map(|value| std::str::from_utf8(value).ok());
    let mut preferences = values.flat_map(|value| split_outside_quotes(value, ','));
    let (_, seconds) = preferences.find_map(|preference| {
        // What follows a semicolon are parameters of the preference.
        let preference = split_outside_quotes(preference, ';').into_iter().next()?;
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        name.trim().eq_ignore_ascii_case("wait").then(|| (name, value.trim()))
    })?;
    let seconds = seconds.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(seconds);
    if seconds.is_empty() || !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number holds is a long wait, not a wrong one.
    Some(Duration::from_secs(seconds.parse().unwrap_or(u64::MAX)))
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
