//! Runs the checks that fit a component.

use servos_sandbox::{Kind, LoadError, Manifest, SandboxError};

use crate::findings::Findings;
use crate::subject::{Subject, Time};
use crate::{CheckId, Outcome, Report, exam, faults, naming, policy, settings, weighting};

/// Judges a component, configured and limited as `manifest` says. Blocking, for seconds.
///
/// # Errors
///
/// [`JudgeError`] if this machine cannot run plugins; whatever is wrong with the plugin is in the report.
pub fn judge(wasm: &[u8], manifest: &Manifest) -> Result<Report, JudgeError> {
    let subject = Subject::new(wasm, manifest)?;
    let plugin = match subject.fresh(Time::Present) {
        Ok(plugin) => plugin,
        Err(error) => return not_loaded(error),
    };
    let mut findings = Findings::default();
    findings.seen(CheckId::Contract, plugin.interface());
    findings.seen(CheckId::Deadline, format!("{} ms a call", plugin.deadline().as_millis()));
    findings.seen(CheckId::Memory, format!("{} MiB", manifest.memory_mib));
    settings::refused(&subject, &mut findings);
    let latency = match plugin.kind() {
        Kind::Naming => exam::sit(&subject, &naming::everyday(), &naming::odd(), &mut findings),
        Kind::Weighting => {
            let latency = exam::sit(&subject, &weighting::everyday(), &[], &mut findings);
            weighting::large_services(&subject, &mut findings);
            latency
        }
        Kind::Policy => exam::sit(&subject, &policy::everyday(), &policy::odd(), &mut findings),
    };
    let checks = findings.into_checks(Some(plugin.kind()));
    Ok(Report {
        passed: checks.iter().all(|check| check.outcome != Outcome::Failed),
        kind: Some(plugin.kind()),
        interface: Some(plugin.interface().to_owned()),
        sha256: Some(plugin.sha256().to_owned()),
        checks,
        latency,
    })
}

/// The report on a file that is no plugin, or does not start: what comes after that is not judged.
fn not_loaded(error: LoadError) -> Result<Report, JudgeError> {
    let Some(failed) = faults::of_load(&error) else { return Err(JudgeError::Load(error)) };
    let mut findings = Findings::default();
    findings.fault(failed, error.to_string());
    let passed = CheckId::LOADING.into_iter().take_while(|&check| check != failed).count();
    let judged = &CheckId::LOADING[..passed];
    for check in CheckId::ALL.into_iter().filter(|check| *check != failed && !judged.contains(check)) {
        findings.skip(check, "not judged: it does not load");
    }
    let checks = findings.into_checks(None);
    Ok(Report { passed: false, kind: None, interface: None, sha256: None, checks, latency: None })
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
    /// The plugin is not loaded, and is not to blame for it.
    #[error("the plugin cannot be loaded on this machine")]
    Load(#[source] LoadError),
}
