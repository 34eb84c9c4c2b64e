//! How commands print: JSON for programs, tables and sentences for people.

use std::io::{self, Write};

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::Serialize;

/// Where and how a command prints.
#[derive(Clone, Copy)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Prints `value` as JSON, or what `text` makes of it.
    pub fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let line = if self.json { serde_json::to_string_pretty(value)? } else { text(value) };
        match writeln!(io::stdout().lock(), "{line}") {
            // `… | head` has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Prints a list as JSON, or as a table.
    pub fn table<T: Serialize>(self, list: &[T], header: &[&str], row: impl Fn(&T) -> Vec<String>) -> Result<()> {
        self.print(&list, |list| {
            let mut table = Table::new();
            table.load_style(presets::NOTHING).set_header(header.to_vec());
            table.add_rows(list.iter().map(row));
            table.trim_fmt()
        })
    }
}

/// `-` for what there is not.
pub fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}
