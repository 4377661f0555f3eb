//! A real etcd on a directory that was restored.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::peers;
use crate::server::{Server, run};

/// What clients see.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers {
    pub kvs: Value,
    pub leases: Vec<String>,
    pub users: Value,
    pub roles: Value,
}

impl Answers {
    pub fn of(ctl: &dyn Fn(&[&str]) -> Value, list: &dyn Fn(&[&str]) -> String) -> Answers {
        let mut leases: Vec<String> = list(&["lease", "list"]).lines().skip(1).map(str::to_owned).collect();
        leases.sort();
        Answers {
            kvs: ctl(&["get", "", "--from-key"])["kvs"].clone(),
            leases,
            users: ctl(&["user", "list"])["users"].clone(),
            roles: ctl(&["role", "list"])["roles"].clone(),
        }
    }

    pub fn of_server(server: &Server) -> Answers {
        Answers::of(&|args| server.ctl_json(args, b""), &|args| server.ctl(args))
    }
}

/// A real etcd that runs on a restored directory.
pub struct Member {
    child: Child,
    etcdctl: PathBuf,
    endpoint: String,
    log: PathBuf,
    home: PathBuf,
    user: Option<&'static str>,
}

impl Member {
    pub fn start(version: &str, data: &Path, client: u16, identity: &[&str], peer: &str) -> Member {
        let mut member = Member::spawn(version, data, client, identity, peer);
        member.wait();
        member
    }

    pub fn spawn(version: &str, data: &Path, client: u16, identity: &[&str], peer: &str) -> Member {
        let etcd = peers::find(&format!("etcd-{version}/etcd")).unwrap();
        let home = data.parent().unwrap().to_path_buf();
        let log = data.with_extension("log");
        let file = File::create(&log).unwrap();
        let endpoint = format!("http://127.0.0.1:{client}");
        let child = peers::command(&etcd, &home)
            .env("ETCD_VERIFY", "all")
            .args([OsStr::new("--data-dir"), data.as_os_str()])
            .args([
                "--listen-client-urls",
                &endpoint,
                "--advertise-client-urls",
                &endpoint,
                "--listen-peer-urls",
                peer,
            ])
            .args(identity)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let etcdctl = peers::find(&format!("etcd-{version}/etcdctl")).unwrap();
        Member { child, etcdctl, endpoint, log, home, user: None }
    }

    pub fn wait(&mut self) {
        let deadline = crate::run::deadline();
        while !self.answers_health() {
            let ended = self.child.try_wait().unwrap().is_some() || Instant::now() > deadline;
            assert!(!ended, "etcd does not start:\n{}", fs::read_to_string(&self.log).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether it is in office: healthy, or not for want of a login or because of an alarm.
    fn answers_health(&self) -> bool {
        let output = self.try_ctl(&["endpoint", "health"], b"");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        output.status.success()
            || ["user name is empty", "NOSPACE", "active alarm"].iter().any(|why| said.contains(why))
    }

    /// From now on etcdctl logs in as this `name:password`.
    pub fn login(&mut self, user: &'static str) {
        self.user = Some(user);
    }

    pub fn try_ctl(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = peers::command(&self.etcdctl, &self.home);
        command
            .args(["--endpoints", &self.endpoint])
            .args(self.user.map(|user| format!("--user={user}")))
            .args(args);
        run(&mut command, stdin)
    }

    pub fn ctl(&self, args: &[&str], stdin: &[u8]) -> String {
        let output = self.try_ctl(&[&["--command-timeout=60s"], args].concat(), stdin);
        assert!(output.status.success(), "etcdctl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ctl(&[args, &["-w", "json"]].concat(), b"")).unwrap()
    }

    pub fn answers(&self) -> Answers {
        Answers::of(&|args| self.json(args), &|args| self.ctl(args, b""))
    }

    /// Ends it as an operator does; it must not have said that it panicked.
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(!log.contains("panic"), "{log}");
    }
}

impl Member {
    /// Ends it as a power failure does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
