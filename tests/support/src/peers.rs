//! The real programs that `tests/peers/setup.sh` installs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The versions of bbolt that are installed.
pub const BBOLTS: [&str; 3] = ["1.3.12", "1.4.3", "1.5.0"];

/// The bbolts that are there.
pub fn bbolts() -> Vec<PathBuf> {
    BBOLTS.iter().filter_map(|version| find(&format!("bbolt-{version}/bbolt"))).collect()
}

/// The program, as `etcd-3.7.1/etcdutl`. Where it is missing the caller's test has nothing to do: the reason is
/// printed, and is a failure if `COLDBOLT_INTEROP=required`.
pub fn find(program: &str) -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")));
    let peers = var("COLDBOLT_PEERS").or_else(|| Some(cache()?.join("coldbolt/peers")));
    let path = peers.unwrap_or_default().join(program);
    if path.is_file() {
        return Some(path);
    }
    let why = format!("no {}: run tests/peers/setup.sh", path.display());
    assert!(std::env::var_os("COLDBOLT_INTEROP").is_none_or(|value| value != "required"), "{why}");
    eprintln!("skipped: {why}");
    None
}

/// A program of the system. Where it is missing, as [`find`].
pub fn system(program: &str) -> Option<Command> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|path| path.is_file());
    let required = std::env::var_os("COLDBOLT_INTEROP").is_some_and(|set| set == "required");
    assert!(found.is_some() || !required, "{program} is missing");
    if found.is_none() {
        eprintln!("skipped: {program} is missing");
    }
    found.map(Command::new)
}

/// `strace`, which changes what system calls do. Where it is missing or may not, as [`find`].
pub fn strace() -> Option<Command> {
    static USABLE: OnceLock<bool> = OnceLock::new();
    let usable = *USABLE.get_or_init(|| {
        Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
    });
    let required = std::env::var_os("COLDBOLT_INTEROP").is_some_and(|set| set == "required");
    assert!(usable || !required, "strace is missing or may not trace");
    if !usable {
        println!("skipped: no usable strace");
        return None;
    }
    let mut command = Command::new("strace");
    // Not with --seccomp-bpf: strace 6.1 sends no signal at most calls then.
    command.args(["-f", "-qq"]);
    Some(command)
}

/// Starts a program without the caller's environment: no `ETCD_*`, no `ETCDCTL_*`.
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).current_dir(home);
    command
}
