//! What a plugin author depends on: the three extension points as Rust traits.
