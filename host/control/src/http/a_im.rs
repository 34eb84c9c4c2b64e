//! `A-IM` (RFC 3229 §10.5.3): the instance manipulations that a client accepts. Pure.

/// Whether one of the header fields of that name accepts `manipulation`. What cannot be read accepts nothing: the client
/// then gets the whole, which is never wrong.
pub fn accepts<'a>(values: impl IntoIterator<Item = &'a [u8]>, manipulation: &str) -> bool {
    let values = values.into_iter().filter_map(|value| std::str::from_utf8(value).ok());
    values.flat_map(|value| value.split(',')).any(|element| {
        let mut parts = element.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(manipulation));
        named && parts.all(|parameter| !refuses(parameter))
    })
}

/// `q=0`, with up to three zeros behind the point (RFC 9110 §12.4.2): "not acceptable".
fn refuses(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim();
    name.trim().eq_ignore_ascii_case("q") && value.starts_with('0') && !value.bytes().any(|b| matches!(b, b'1'..=b'9'))
}
