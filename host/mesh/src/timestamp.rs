//! Points in time as people and programs are shown them: RFC 3339, UTC, milliseconds.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// For `#[serde(serialize_with)]`, of a time or of an optional one: text, or null.
///
/// # Errors
///
/// The serializer's.
pub fn serialize<T, S>(time: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Copy + Into<Option<SystemTime>>,
    S: Serializer,
{
    let time: Option<SystemTime> = (*time).into();
    time.map(|time| humantime::format_rfc3339_millis(time).to_string()).serialize(serializer)
}

/// Whole seconds since such a text; none if it is none.
pub fn age(text: &str) -> Option<Duration> {
    let time = humantime::parse_rfc3339(text).ok()?;
    // A clock that was set back makes it now.
    let age = SystemTime::now().duration_since(time).unwrap_or_default();
    Some(Duration::from_secs(age.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Line {
        #[serde(serialize_with = "serialize")]
        at: Option<SystemTime>,
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let ago = SystemTime::now() - Duration::from_millis(90_500);
        let line = serde_json::to_value(Line { at: Some(ago) }).expect("a line");
        assert_eq!(age(line["at"].as_str().expect("text")).map(|age| age.as_secs()), Some(90));
        assert_eq!(serde_json::to_string(&Line { at: None }).expect("a line"), r#"{"at":null}"#);
        let fixed = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(
            serde_json::to_string(&Line { at: Some(fixed) }).expect("a line"),
            r#"{"at":"1970-01-01T00:00:01.500Z"}"#
        );
        assert_eq!(age("yesterday"), None);
    }
}
