//! How grave a line of the log is.

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Of interest.
    Info,
    /// An operator should look.
    Warn,
    /// Something is broken.
    Error,
}
