//! What the tests and benches need besides Rust: installed by root, named otherwise.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{client_js, steps};

/// A program and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

pub(crate) const HAPROXY: Program = program("haproxy", "haproxy");
pub(crate) const NGINX: Program = program("nginx", "nginx-light");
const CURL: Program = program("curl", "curl");
const CHROMIUM: Program = program("chromium", "chromium");
const NGHTTP: Program = program("nghttp", "nghttp2-client");
const NODE: Program = program("node", "nodejs");
const NPM: Program = program("npm", "npm");
const PYTHON: Program = program("python3", "python3");
const REDIS_SERVER: Program = program("redis-server", "redis-server");
const REDIS_CLI: Program = program("redis-cli", "redis-tools");

/// What the tests talk to of PyPI, in these versions. None of them needs another package.
const PYTHON_PACKAGES: [&str; 2] = ["websockets==15.0.1", "redis==8.1.0"];

/// Everything that the end-to-end tests talk to.
pub(crate) fn for_tests() -> Result<()> {
    programs(&[CURL, NGHTTP, PYTHON, CHROMIUM, NODE, NPM, REDIS_SERVER, REDIS_CLI])?;
    python_packages()?;
    client_js::install()?;
    nextest()
}

/// Makes sure that `wanted` can be run: installs what is missing where that is allowed.
pub(crate) fn programs(wanted: &[Program]) -> Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|program| on_path(program.name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    let packages_text = packages.join(" ");
    if !rustix::process::geteuid().is_root() || on_path("apt-get").is_none() {
        bail!("missing: {packages_text}. Install them, on Debian with: sudo apt-get install {packages_text}");
    }
    eprintln!("    installing {packages_text}");
    steps::run(apt_get().args(["update", "-qq"]))?;
    steps::run(
        apt_get()
            .args(["install", "-qq", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

/// Where a program is, looked up as a shell would.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// PyPI packages in a folder under `target`, so that nothing is added to the user's Python.
fn python_packages() -> Result<()> {
    let folder = steps::target().join("python");
    let stamp = folder.join("installed");
    let wanted = PYTHON_PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if !runs(Command::new("python3").args(["-m", "pip", "--version"])) {
        programs(&[program("pip3", "python3-pip")])?;
    }
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--upgrade",
        "--no-deps",
    ]);
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    steps::run(pip.arg("--target").arg(&folder).args(PYTHON_PACKAGES))?;
    Ok(fs::write(stamp, wanted)?)
}

fn nextest() -> Result<()> {
    if runs(steps::cargo().args(["nextest", "--version"])) {
        return Ok(());
    }
    eprintln!("    installing cargo-nextest");
    steps::run(steps::cargo().args(["install", "--locked", "cargo-nextest"]))
}

/// Whether a program starts and ends well; what it prints is dropped.
pub(crate) fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
