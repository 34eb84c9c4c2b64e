//! A plugin's log: rate-limited, bounded, passed on to the agent's own, its end kept for `status`.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use tracing::{debug, error, info, warn};

use crate::limits::{LOG_BURST, LOG_LINE, LOG_LINES_PER_SECOND, LOG_TAIL};
use crate::{LogLevel, LogLine};

/// The log of one plugin.
#[derive(Debug)]
pub(crate) struct PluginLog {
    plugin: String,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    tail: VecDeque<LogLine>,
    allowance: Allowance,
    /// Since the last line that was written.
    dropped: u64,
    dropped_in_all: u64,
}

impl PluginLog {
    /// An empty log.
    pub fn new(plugin: &str) -> Self {
        let allowance = Allowance { lines: f64::from(LOG_BURST), refilled_at: Instant::now() };
        Self {
            plugin: plugin.to_owned(),
            kept: Mutex::new(Kept { tail: VecDeque::new(), allowance, dropped: 0, dropped_in_all: 0 }),
        }
    }

    /// Writes a line, unless the plugin has written too many.
    pub fn write(&self, level: LogLevel, message: &str) {
        let (message, dropped) = {
            let mut kept = self.kept.lock();
            if !kept.allowance.take(Instant::now()) {
                kept.dropped += 1;
                kept.dropped_in_all += 1;
                return;
            }
            let message = printable(message);
            if kept.tail.len() == LOG_TAIL {
                kept.tail.pop_front();
            }
            kept.tail.push_back(LogLine { at: SystemTime::now(), level, message: message.clone() });
            (message, std::mem::take(&mut kept.dropped))
        };
        let plugin = self.plugin.as_str();
        if dropped > 0 {
            warn!(target: "plugin", plugin, dropped, "log lines over the plugin's rate were dropped");
        }
        match level {
            LogLevel::Debug => debug!(target: "plugin", plugin, "{message}"),
            LogLevel::Info => info!(target: "plugin", plugin, "{message}"),
            LogLevel::Warn => warn!(target: "plugin", plugin, "{message}"),
            LogLevel::Error => error!(target: "plugin", plugin, "{message}"),
        }
    }

    /// Lines that were dropped because there were too many.
    pub fn dropped_in_all(&self) -> u64 {
        self.kept.lock().dropped_in_all
    }

    /// The last lines, oldest first.
    pub fn tail(&self) -> Vec<LogLine> {
        self.kept.lock().tail.iter().cloned().collect()
    }
}

/// A token bucket.
#[derive(Debug)]
struct Allowance {
    lines: f64,
    refilled_at: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let seconds = now.duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = now;
        self.lines = (self.lines + seconds * f64::from(LOG_LINES_PER_SECOND)).min(f64::from(LOG_BURST));
        if self.lines < 1.0 {
            return false;
        }
        self.lines -= 1.0;
        true
    }
}

/// At most [`LOG_LINE`] bytes, control characters escaped: a guest must not forge lines of the agent's log.
fn printable(message: &str) -> String {
    let mut line = String::new();
    for character in message.chars() {
        let before = line.len();
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
        if line.len() > LOG_LINE {
            line.truncate(before);
            break;
        }
    }
    line
}
