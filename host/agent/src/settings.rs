//! `agent.toml`: all settings, every one with a default, unknown ones refused.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use servos_failover::FailoverSettings;
use servos_firewall::FirewallSettings;
use servos_names::NamesSettings;
use servos_sandbox::{Trust, TrustError};
use servos_tunnel::limits::{MAX_LANES, lanes};

use crate::durable_file;
use crate::error_chain::chain;
use crate::guests;
use crate::limits::{MAX_SETTINGS, MIN_ROTATE_KEY_EVERY};
use crate::paths::Paths;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `[paths]`
    pub paths: Paths,
    /// `[tunnel]`
    pub tunnel: TunnelSettings,
    /// `[names]`
    pub names: NamesSettings,
    /// `[failover]`
    pub failover: FailoverSettings,
    /// `[firewall]`
    pub firewall: FirewallSettings,
    /// `[plugins]`
    pub plugins: PluginSettings,
}

/// `[tunnel]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TunnelSettings {
    /// Name of the mesh interface.
    pub interface: String,
    /// WireGuard's UDP port.
    pub listen_port: u16,
    /// Fixed MTU of the mesh interface, bytes; unset: that of the way out, less WireGuard's overhead.
    pub mtu: Option<u16>,
    /// Whether the wakeup filter is loaded where eBPF is to be had.
    pub wakeup_filter: bool,
    /// Threads each way, 1 to 64; unset: a quarter of the cores, 4 at most.
    pub threads: Option<NonZeroUsize>,
    /// The key is rotated by itself when `private-key`, which the end of a transition writes, is so old; unset: only when
    /// asked.
    #[serde(deserialize_with = "duration")]
    pub rotate_key_every: Option<Duration>,
}

impl TunnelSettings {
    /// Threads each way.
    pub fn lanes(&self) -> NonZeroUsize {
        self.threads.unwrap_or_else(|| lanes(available_parallelism().map_or(1, usize::from)))
    }
}

impl Default for TunnelSettings {
    fn default() -> Self {
        Self {
            interface: "wg0".to_owned(),
            listen_port: 51_820,
            mtu: None,
            wakeup_filter: true,
            threads: None,
            rotate_key_every: None,
        }
    }
}

/// `[plugins]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginSettings {
    /// Plugins of the bundle that are not to run, for example `["ufw-policy"]`.
    pub disabled: Vec<String>,
    /// `[plugins.settings.NAME]`: settings of the bundle's plugins. A drop-in has its own file beside it.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Whether a drop-in must be signed by one of `trusted_keys`.
    pub require_signed: bool,
    /// ed25519 public keys, each the base64 of 32 bytes.
    pub trusted_keys: Vec<String>,
}

impl PluginSettings {
    /// Who must have signed a drop-in; none: nobody need.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if signatures are required and there is no key, or one is none.
    pub fn trust(&self) -> Result<Option<Trust>, TrustError> {
        self.require_signed.then(|| Trust::new(&self.trusted_keys)).transpose()
    }
}

impl Settings {
    /// Reads the file; none at all means defaults.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] with file, line and field.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        Self::parse(path, &read(path)?)
    }

    /// The same; where the file is of no use, the settings that an agent last started with ([`Settings::keep`]), and what is
    /// wrong with the file. A typing error must not cost a running mesh its next start.
    ///
    /// # Errors
    ///
    /// As [`Settings::load`], where none are kept.
    pub fn load_or_kept(path: &Path) -> Result<(Self, Option<String>), SettingsError> {
        let problem = match Self::load(path) {
            Ok(settings) => return Ok((settings, None)),
            Err(problem) => problem,
        };
        let kept = kept_settings(path);
        match kept.exists().then(|| Self::load(&kept)) {
            Some(Ok(settings)) => {
                let in_force = format!(
                    "{}; in force are the settings before, {}: mend the file and start the agent again",
                    chain(&problem).trim_end(),
                    kept.display()
                );
                Ok((settings, Some(in_force)))
            }
            Some(Err(_)) | None => Err(problem),
        }
    }

    /// Keeps the file's content, which an agent has started with, beside it.
    ///
    /// # Errors
    ///
    /// If the file is of no use by now, or cannot be written.
    pub fn keep(path: &Path) -> Result<(), SettingsError> {
        let (text, kept) = (read(path)?, kept_settings(path));
        Self::parse(path, &text)?;
        if std::fs::read(&kept).is_ok_and(|before| before == text.as_bytes()) {
            return Ok(());
        }
        // Settings of plugins may hold what is nobody's business.
        durable_file::write(&kept, text.as_bytes(), 0o600).map_err(|source| SettingsError::Keep { path: kept, source })
    }

    fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text)
            .map_err(|source| SettingsError::Parse { path: path.into(), problem: source.to_string() })?;
        settings.check().map_err(|problem| SettingsError::Parse { path: path.into(), problem })?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.tunnel.interface;
        // IFNAMSIZ is 16 with its final zero.
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 15 || !name.bytes().all(fine) || name == "." || name == ".." {
            return Err(format!(
                "tunnel.interface = {name:?}: an interface name has 1 to 15 letters, digits, '-', '_', '.'"
            ));
        }
        if self.tunnel.listen_port == 0 {
            return Err("tunnel.listen_port = 0: give the UDP port that peers reach, 51820 as a rule".to_owned());
        }
        if self.tunnel.threads.is_some_and(|threads| threads.get() > MAX_LANES) {
            return Err(format!("tunnel.threads: {MAX_LANES} at most"));
        }
        if self.tunnel.mtu.is_some_and(|mtu| mtu < 1_280) {
            return Err("tunnel.mtu: IPv6 needs 1280 at least".to_owned());
        }
        if self.tunnel.rotate_key_every.is_some_and(|every| every < MIN_ROTATE_KEY_EVERY) {
            let least = humantime::format_duration(MIN_ROTATE_KEY_EVERY);
            return Err(format!("tunnel.rotate_key_every: give {least} at least, 30d as a rule"));
        }
        self.plugins.trust().map_err(|problem| format!("[plugins] {problem}"))?;
        let bundle = Vec::from_iter(guests::bundle().iter().map(|plugin| plugin.name));
        let mut named = self.plugins.disabled.iter().chain(self.plugins.settings.keys());
        match named.find(|name| !bundle.contains(&name.as_str())) {
            Some(name) => Err(format!("[plugins] {name:?} is no plugin of the bundle: it has {}", bundle.join(", "))),
            None => Ok(()),
        }
    }
}

/// Where the settings are kept that an agent last started with.
pub fn kept_settings(path: &Path) -> PathBuf {
    let mut kept = path.as_os_str().to_owned();
    kept.push(".kept");
    kept.into()
}

/// What the file says; nothing if there is none.
fn read(path: &Path) -> Result<String, SettingsError> {
    let failed = |source| SettingsError::Read { path: path.into(), source };
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(failed(source)),
        Ok(file) => {
            let mut text = String::new();
            file.take(MAX_SETTINGS).read_to_string(&mut text).map_err(failed)?;
            Ok(text)
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |error| serde::de::Error::custom(format!("{text:?} is no duration ({error}): write 30d or 720h"));
    humantime::parse_duration(&text).map(Some).map_err(wrong)
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("cannot read the settings {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What is in force cannot be kept.
    #[error("cannot keep the settings in {}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file does not say what it must.
    #[error("{}: {problem}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, field and what is wrong.
        problem: String,
    },
}
