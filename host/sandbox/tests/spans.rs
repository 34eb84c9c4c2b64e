//! A call stands in a span of `tracing`, with the plugin's name: what is logged below it can be told apart.

#![cfg(test)]

mod common;

use std::io::{self, Write};
use std::sync::Arc;

use common::guest::Naming;
use common::{load, mesh, question};
use parking_lot::Mutex;
use servos_sandbox::naming::RecordType;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_call_is_a_span() {
    let plugin = load(&Naming::on_txt("unreachable"), "");
    let written = Written::default();
    let log = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        plugin.resolve(&mesh::snapshot(), &question("api", RecordType::A)).unwrap();
        plugin.resolve(&mesh::snapshot(), &question("api", RecordType::Txt)).unwrap_err();
    });
    let written = String::from_utf8(written.0.lock().clone()).unwrap();
    let span = "plugin_call{plugin=\"test\" kind=naming generation=42}";
    let lines: Vec<_> = written.lines().filter(|line| line.contains(span)).collect();
    let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count("close"), count("plugin failed")), (2, 1), "{written}");
}
