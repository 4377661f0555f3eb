//! A real etcd on 127.0.0.1, which ends with the test.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::peers;

/// The server and its directory. Dropping it kills the one and removes the other.
pub struct Server {
    etcd: PathBuf,
    flags: Vec<String>,
    etcdctl: PathBuf,
    child: Child,
    endpoint: String,
    directory: tempfile::TempDir,
    user: Option<&'static str>,
}

impl Server {
    /// Starts that version; `None` if it is not installed.
    pub fn start(version: &str, flags: &[&str]) -> Option<Server> {
        let etcd = peers::find(&format!("etcd-{version}/etcd"))?;
        let etcdctl = peers::find(&format!("etcd-{version}/etcdctl"))?;
        // Another process may take a port between our looking and etcd's binding.
        for _ in 0..5 {
            let directory = tempfile::tempdir().unwrap();
            let [client, peer] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
            let mut all =
                ["--name", "interop", "--data-dir", "data", "--bcrypt-cost", "4"].map(str::to_owned).to_vec();
            for (flag, value) in
                [("listen-client", &client), ("advertise-client", &client), ("listen-peer", &peer)]
            {
                all.extend([format!("--{flag}-urls"), value.clone()]);
            }
            all.extend(["--initial-advertise-peer-urls".to_owned(), peer.clone()]);
            all.extend(["--initial-cluster".to_owned(), format!("interop={peer}")]);
            all.extend(flags.iter().map(|flag| (*flag).to_owned()));
            let child = spawn(&etcd, &all, directory.path());
            let (etcd, etcdctl) = (etcd.clone(), etcdctl.clone());
            let mut server =
                Server { etcd, flags: all, etcdctl, child, endpoint: client, directory, user: None };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("etcd {version} found its ports taken five times");
    }

    /// Waits until it does; `false` if its ports were taken.
    fn answers(&mut self) -> bool {
        let deadline = crate::run::deadline();
        while !self.try_ctl(&["endpoint", "health"], b"").status.success() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
                assert!(
                    ended.is_some() && log.contains("address already in use"),
                    "etcd does not start:\n{log}"
                );
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// From now on etcdctl logs in as this `name:password`.
    pub fn login(&mut self, user: &'static str) {
        self.user = Some(user);
    }

    /// etcdctl with these arguments, not yet started.
    pub fn ctl_command(&self, args: &[&str]) -> Command {
        let mut command = peers::command(&self.etcdctl, self.directory.path());
        command
            .args(["--endpoints", &self.endpoint])
            .args(self.user.map(|user| format!("--user={user}")))
            .args(args);
        command
    }

    /// Runs etcdctl.
    pub fn try_ctl(&self, args: &[&str], stdin: &[u8]) -> Output {
        run(&mut self.ctl_command(args), stdin)
    }

    /// Runs etcdctl, which must succeed.
    pub fn ctl_stdin(&self, args: &[&str], stdin: &[u8]) -> String {
        let patient = [&["--command-timeout=60s"], args].concat();
        let Output { status, stdout, stderr } = self.try_ctl(&patient, stdin);
        assert!(status.success(), "etcdctl {args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// Runs etcdctl, which must succeed.
    pub fn ctl(&self, args: &[&str]) -> String {
        self.ctl_stdin(args, b"")
    }

    /// Runs etcdctl, which must succeed and answer in JSON.
    pub fn ctl_json(&self, args: &[&str], stdin: &[u8]) -> Value {
        let answer = self.ctl_stdin(&[args, &["-w", "json"]].concat(), stdin);
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("etcdctl {args:?}: {e}: {answer}"))
    }

    pub fn save(&self, to: &Path) {
        self.ctl(&["snapshot", "save", to.to_str().unwrap()]);
    }

    /// Ends it as an operator does, and gives its database, which is there as long as the server is not dropped.
    pub fn stop(&mut self) -> PathBuf {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
        self.directory.path().join("data/member/snap/db")
    }

    /// Starts it again on what is in its directory now.
    pub fn restart(&mut self) {
        self.starts(|_| {});
    }

    /// Starts it again, and does what is to be `done` with its process id meanwhile.
    pub fn starts(&mut self, done: impl FnOnce(u32)) {
        self.child = spawn(&self.etcd, &self.flags, self.directory.path());
        done(self.child.id());
        assert!(self.answers(), "its ports were taken");
    }

    /// Starts it on what is in its directory now, where it is not to come far, and does what is to be `done` with
    /// its process id then; gives its log when it has ended.
    pub fn fails_to_start(&mut self, done: impl FnOnce(u32)) -> String {
        self.child = spawn(&self.etcd, &self.flags, self.directory.path());
        done(self.child.id());
        let deadline = crate::run::deadline();
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Its client URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its peer URL.
    pub fn peer(&self) -> String {
        let at = self.flags.iter().position(|flag| flag == "--listen-peer-urls").unwrap();
        self.flags[at + 1].clone()
    }

    /// Where its data and its log are.
    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    /// Ends it as a power failure does, but for what the kernel has not written yet.
    pub fn kill(&mut self) -> PathBuf {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.directory.path().join("data/member/snap/db")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(etcd: &Path, flags: &[String], home: &Path) -> Child {
    let log = File::create(home.join("log")).unwrap();
    let mut command = peers::command(etcd, home);
    command.args(flags).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// Runs a program to its end with this on its standard input, through a pipe.
pub fn run(command: &mut Command, stdin: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    std::thread::scope(|threads| {
        // A program that does not read its input closes the pipe.
        threads.spawn(move || pipe.write_all(stdin));
        child.wait_with_output().unwrap()
    })
}

pub fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
