//! WASI 0.2 for guests whose language insists on it: nothing in it but clocks, random numbers, and standard output that
//! goes to the plugin's log.
//!
//! No files, arguments, environment or network. Nothing in it may wait: a host call that blocks is not interrupted by
//! the deadline. So `wasi:io/poll` traps where it would wait, and the blocking half of `wasi:io/streams` does what the
//! other half does, which for a log and a closed input is the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, OutputStream, Pollable, StreamError, StreamResult,
};
use wasmtime_wasi::{WasiCtx, WasiView};

use crate::LogLevel;
use crate::limits::{HANDLES, LOG_LINE, RANDOM_BYTES};
use crate::plugin_log::PluginLog;

/// What a store holds for WASI.
pub(crate) struct Wasi {
    pub context: WasiCtx,
    pub table: ResourceTable,
}

impl Wasi {
    /// Empty, but for standard output and standard error, which go to `log`.
    pub fn new(log: &Arc<PluginLog>) -> Self {
        let output = |level| LogOutput { log: log.clone(), level, line: Arc::default() };
        let context = WasiCtx::builder()
            .stdout(output(LogLevel::Info))
            .stderr(output(LogLevel::Warn))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(RANDOM_BYTES)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { context, table }
    }
}

/// Links all of WASI 0.2 (`wasi:cli/imports`).
///
/// # Errors
///
/// The linker's; none that depends on a plugin.
pub(crate) fn link<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    poll::add_to_linker::<T, Unwaiting>(linker, |state| NoWait(state.ctx().table))?;
    streams::add_to_linker::<T, Unwaiting>(linker, |state| NoWait(state.ctx().table))?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The wall clock of the WASI that is linked.
const WALL_CLOCK: &str = "wasi:clocks/wall-clock@0.2.12";

/// Has the wall clock stand still, that long after the beginning of 1970.
///
/// # Errors
///
/// The linker's; none that depends on a plugin.
pub(crate) fn stop_clock<T: 'static>(linker: &mut Linker<T>, since_1970: Duration) -> wasmtime::Result<()> {
    let now = Datetime { seconds: since_1970.as_secs(), nanoseconds: since_1970.subsec_nanos() };
    linker.allow_shadowing(true);
    linker.instance(WALL_CLOCK)?.func_wrap("now", move |_, (): ()| Ok((now,)))?;
    linker.allow_shadowing(false);
    Ok(())
}

struct Unwaiting;

impl HasData for Unwaiting {
    type Data<'a> = NoWait<'a>;
}

/// `poll` and `streams` that never wait.
struct NoWait<'a>(&'a mut ResourceTable);

fn would_wait() -> wasmtime::Error {
    wasmtime::Error::msg(
        "it waits (wasi:io/poll), which a plugin may not: what it may know, it looks up in `directory`",
    )
}

impl poll::Host for NoWait<'_> {
    fn poll(&mut self, _: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        Err(would_wait())
    }
}

impl poll::HostPollable for NoWait<'_> {
    fn ready(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<bool> {
        Ok(false)
    }

    fn block(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<()> {
        Err(would_wait())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.0, pollable)
    }
}

impl streams::Host for NoWait<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.0, error)
    }
}

impl streams::HostOutputStream for NoWait<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        streams::HostOutputStream::check_write(self.0, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        streams::HostOutputStream::write(self.0, stream, bytes)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.write(stream, bytes)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        streams::HostOutputStream::flush(self.0, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        self.flush(stream)
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostOutputStream::subscribe(self.0, stream)
    }

    fn write_zeroes(&mut self, _: Resource<DynOutputStream>, _: u64) -> StreamResult<()> {
        Err(StreamError::trap("zeroes are no log line"))
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<DynOutputStream>, count: u64) -> StreamResult<()> {
        self.write_zeroes(stream, count)
    }

    /// Input is closed, so there is nothing to splice.
    fn splice(&mut self, _: Resource<DynOutputStream>, _: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_splice(
        &mut self,
        output: Resource<DynOutputStream>,
        input: Resource<DynInputStream>,
        count: u64,
    ) -> StreamResult<u64> {
        self.splice(output, input, count)
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        self.0.delete(stream)?;
        Ok(())
    }
}

impl streams::HostInputStream for NoWait<'_> {
    fn read(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<Vec<u8>> {
        Err(StreamError::Closed)
    }

    fn blocking_read(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<Vec<u8>> {
        self.read(stream, count)
    }

    fn skip(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_skip(&mut self, stream: Resource<DynInputStream>, count: u64) -> StreamResult<u64> {
        self.skip(stream, count)
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostInputStream::subscribe(self.0, stream)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        self.0.delete(stream)?;
        Ok(())
    }
}

/// Standard output or error: each line becomes one of the plugin's log.
#[derive(Clone)]
struct LogOutput {
    log: Arc<PluginLog>,
    level: LogLevel,
    /// What was written since the last line end, at most [`LOG_LINE`] bytes.
    line: Arc<Mutex<Vec<u8>>>,
}

impl OutputStream for LogOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut line = self.line.lock();
        for &byte in &bytes {
            if byte == b'\n' {
                self.log.write(self.level, &String::from_utf8_lossy(&line));
                line.clear();
            } else if line.len() < LOG_LINE {
                line.push(byte);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LOG_LINE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogOutput {
    async fn ready(&mut self) {}
}

impl IsTerminal for LogOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogOutput {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// For WASI 0.3, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}
