//! Where the programs are that a laboratory runs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The programs under test and the guests beside them.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `servos-control`.
    pub control: PathBuf,
    /// `servos-agent`.
    pub agent: PathBuf,
    /// The real Traefik.
    pub traefik: PathBuf,
    /// Folder of the built guests, examples included.
    pub guests: PathBuf,
}

impl Programs {
    /// Finds the programs beside the running one (`target/<profile>/…`), Traefik in the tools' cache.
    ///
    /// # Errors
    ///
    /// Names what is missing, and that `cargo xtask build` provides it.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe()?;
        // Tests lie one folder deeper than programs.
        let folders = own.ancestors().skip(1).take(2);
        let Some(folder) = folders.into_iter().find(|folder| folder.join("servos-agent").exists()) else {
            bail!("servos-agent is not built: run `cargo xtask build`");
        };
        let programs = Self {
            control: folder.join("servos-control"),
            agent: folder.join("servos-agent"),
            traefik: traefik()?,
            guests: guests(),
        };
        for path in [&programs.control, &programs.agent, &programs.guests] {
            if !path.exists() {
                bail!("{} is missing: run `cargo xtask build`", path.display());
            }
        }
        Ok(programs)
    }
}

/// Folder of the built guests.
pub fn guests() -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    guests.canonicalize().unwrap_or(guests)
}

/// The real Traefik.
///
/// # Errors
///
/// If it is missing: `cargo xtask setup` provides it.
pub fn traefik() -> Result<PathBuf> {
    let path = tools().join("traefik");
    if !path.exists() {
        bail!("{} is missing: run `cargo xtask setup`", path.display());
    }
    Ok(path)
}

/// The folder into which `cargo xtask setup` puts tools.
pub fn tools() -> PathBuf {
    let cache = std::env::var_os("SERVOS_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        std::env::var_os("XDG_CACHE_HOME").map_or(home.join(".cache"), PathBuf::from).join("servos-mesh")
    });
    cache.join("tools")
}
