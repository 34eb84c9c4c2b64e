//! Runs one program with a deadline: words, never a shell; its own small environment; its output as text.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::limits::{COMMAND_DEADLINE, MAX_ERROR_TEXT};
use crate::rule::quoted;

/// Runs `program` to its end and returns what it printed.
///
/// # Errors
///
/// [`CommandError`] if it cannot be started, does not end in time (it is then killed), or ends with an error.
pub(crate) async fn run(program: &Path, arguments: &[String]) -> Result<String, CommandError> {
    let line = || format!("{} {}", name(program), quoted(arguments));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    // ufw is read by its English texts, and finds iptables by path.
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    let output = match tokio::time::timeout(COMMAND_DEADLINE, command.output()).await {
        Err(_) => return Err(CommandError::Deadline { line: line() }),
        Ok(Err(source)) => return Err(CommandError::Start { program: program.to_owned(), source }),
        Ok(Ok(output)) => output,
    };
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let text = excerpt(if stderr.trim().is_empty() { &stdout } else { &stderr });
        return Err(CommandError::Failed { line: line(), status: output.status.to_string(), text });
    }
    Ok(stdout)
}

fn name(program: &Path) -> String {
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// The text's first part, on one line.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_ERROR_TEXT).collect()
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot run {program}: is it installed whole, and is this run by root?")]
    Start {
        /// Its path.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It did not end in time.
    #[error("`{line}` did not end in {} s and was stopped: look what holds /run/ufw.lock or /run/xtables.lock", COMMAND_DEADLINE.as_secs())]
    Deadline {
        /// What was run.
        line: String,
    },
    /// It ended with an error.
    #[error("`{line}` failed ({status}): {text}")]
    Failed {
        /// What was run.
        line: String,
        /// How it ended.
        status: String,
        /// What it said.
        text: String,
    },
    /// It said something that is not understood.
    #[error("`{line}` answered what this program does not read: {text}")]
    Unreadable {
        /// What was run.
        line: String,
        /// What it said.
        text: String,
    },
}

impl CommandError {
    pub(crate) fn unreadable(program: &Path, arguments: &str, output: &str) -> Self {
        Self::Unreadable { line: format!("{} {arguments}", name(program)), text: excerpt(output) }
    }
}
