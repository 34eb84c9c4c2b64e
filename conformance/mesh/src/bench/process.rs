//! What a process costs: CPU time and resident memory, from `/proc`.

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// User and system time of a process, all its threads, s. Counted in hundredths.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&text).with_context(|| format!("{path} is not as proc(5) says"))?;
    let rate = sysconf(SysconfVar::CLK_TCK)?.context("no CLK_TCK")?;
    Ok(ticks as f64 / rate as f64)
}

/// Resident memory of a process, KiB, mapped files included.
pub(super) fn resident_kib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")).with_context(|| format!("{path}: no VmRSS"))?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{path}: VmRSS is {line}"))
}

/// Fields 14 and 15 of `stat`; the second is a name in brackets that may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_user_and_system_time_whatever_the_program_is_called() {
        assert_eq!(ticks("7 (a) b (c) S 1 1 1 0 -1 4 10 0 0 0 120 30 0 0 20 0 4 0"), Some(150));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(resident_kib(std::process::id()).unwrap() > 100.0);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
    }
}
