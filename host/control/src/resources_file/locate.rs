//! Line and column of a place in a YAML text.
//!
//! The parser tells where it stands only in errors. So the text is read once more, down to the place, and there an
//! error is raised: the parser marks it with line and column.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml_ng::Value;

use super::path::{Path, Step};

/// Line and column of `path`, counted from 1; of the nearest place above it that exists. None if there is none.
pub(super) fn locate(text: &str, path: &Path) -> Option<(usize, usize)> {
    (0..=path.0.len()).rev().find_map(|steps| {
        let error = Seek(&path.0[..steps]).deserialize(serde_yaml_ng::Deserializer::from_str(text)).err()?;
        let location = error.location()?;
        Some((location.line(), location.column()))
    })
}

/// Walks to the end of its steps and fails there; succeeds if there is no such place.
struct Seek<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seek<'_> {
    /// At a node that is neither map nor list.
    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.0.is_empty() { Err(E::custom("here")) } else { Ok(()) }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return self.scalar() };
        while let Some(key) = map.next_key::<Value>()? {
            match step {
                Step::Key(wanted) if key.as_str() == Some(wanted) => map.next_value_seed(Seek(rest))?,
                _ => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return self.scalar() };
        let mut at = 0;
        loop {
            let more = match step {
                Step::Index(wanted) if *wanted == at => list.next_element_seed(Seek(rest))?.is_some(),
                _ => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return Ok(());
            }
            at += 1;
        }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }
}
