//! Runs the checks that fit a component.

use servos_sandbox::{Kind, Manifest, Sandbox, SandboxError};

use crate::checks::{naming, policy, settings, weighting};
use crate::subject::Subject;
use crate::{Check, Report};

/// Judges a component, configured and limited as `manifest` says. Blocking, for seconds.
///
/// # Errors
///
/// [`JudgeError`] if this machine cannot run plugins; whatever is wrong with the plugin is in the report.
pub fn judge(wasm: &[u8], manifest: &Manifest) -> Result<Report, JudgeError> {
    // Compiled once, loaded often.
    let cache = tempfile::tempdir().map_err(JudgeError::Folder)?;
    let subject = Subject { sandbox: Sandbox::new(Some(cache.path()))?, wasm, manifest };
    let plugin = match subject.load(manifest) {
        Ok(plugin) => plugin,
        Err(error) => {
            let checks = vec![Check::new("loads", Err(error.to_string()))];
            return Ok(Report { passed: false, kind: None, interface: None, sha256: None, checks });
        }
    };
    let loaded = format!("{}, {} ms a call", plugin.interface(), plugin.deadline().as_millis());
    let mut checks = vec![Check::new("loads", Ok(loaded))];
    checks.push(Check::new("refuses-bad-settings", settings::refused_gracefully(&subject)));
    checks.extend(match plugin.kind() {
        Kind::Naming => naming::all(&subject),
        Kind::Weighting => weighting::all(&subject),
        Kind::Policy => policy::all(&subject),
    });
    Ok(Report {
        passed: checks.iter().all(|check| check.passed),
        kind: Some(plugin.kind()),
        interface: Some(plugin.interface().to_owned()),
        sha256: Some(plugin.sha256().to_owned()),
        checks,
    })
}

/// Why nothing can be judged here.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The sandbox does not start.
    #[error("plugins do not run on this machine")]
    Sandbox(#[from] SandboxError),
    /// No folder for compiled code.
    #[error("no temporary folder for compiled code (TMPDIR names another)")]
    Folder(#[source] std::io::Error),
}
