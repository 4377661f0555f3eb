//! Real members on 127.0.0.1 that are killed and started again on the same directory, and a client of their JSON
//! gateway: etcdctl takes longer to start than etcd takes to write its database.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use support::history::number;
use support::peers;

/// A member: its directory stays while it is stopped.
pub struct Member {
    pub name: String,
    pub version: String,
    pub client: u16,
    pub peer: u16,
    pub home: PathBuf,
    child: Option<Child>,
}

impl Member {
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    pub fn db(&self) -> PathBuf {
        self.data().join("member/snap/db")
    }

    pub fn start(&mut self, flags: &[&str]) {
        let etcd = peers::find(&format!("etcd-{}/etcd", self.version)).unwrap();
        fs::create_dir_all(&self.home).unwrap();
        let log = File::options().create(true).append(true).open(self.home.join("log")).unwrap();
        let (client, peer) =
            (format!("http://127.0.0.1:{}", self.client), format!("http://127.0.0.1:{}", self.peer));
        let child = peers::command(&etcd, &self.home)
            .args(["--name", &self.name, "--data-dir", "data", "--bcrypt-cost", "4", "--logger", "zap"])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it as an operator does.
    pub fn stop(&mut self) {
        self.signal(rustix::process::Signal::TERM);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        if let Some(child) = &self.child {
            rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
        }
    }

    pub fn client(&self) -> Client {
        Client { port: self.client, stream: None, token: None }
    }

    /// Waits until there is a leader and everything in the log is applied.
    pub fn caught_up(&mut self) {
        self.comes_up().unwrap_or_else(|why| panic!("{why}"));
    }

    /// As [`Member::caught_up`]; the end of its log if it does not get there.
    pub fn comes_up(&mut self) -> Result<(), String> {
        let mut client = self.client();
        let deadline = support::run::deadline();
        let mut before = None;
        loop {
            let status = client.post("maintenance/status", &json!({}));
            if matches!(status, Ok((400.., _))) {
                client.login("root");
            }
            let status = status.ok().map(|(_, status)| status);
            let now = status.filter(|s| {
                s["leader"].as_str().is_some_and(|leader| leader != "0")
                    && number(&s["raftAppliedIndex"]) == number(&s["raftIndex"])
            });
            let now = now.map(|s| number(&s["raftIndex"]));
            if now.is_some() && now == before {
                return Ok(());
            }
            before = now;
            let ended = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.home.join("log")).unwrap();
                let from = log.len().saturating_sub(4000);
                let end: String = log.get(from..).unwrap_or(&log).into();
                return Err(format!("etcd {} does not come up:\n{end}", self.version));
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Members of one cluster, not started.
pub fn members(version: &str, count: usize, home: &std::path::Path) -> (Vec<Member>, String) {
    let listeners: Vec<_> = (0..count * 2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    let member = |(at, ports): (usize, &[u16])| {
        let name = format!("m{at}");
        let home = home.join(&name);
        Member { name, version: version.to_owned(), client: ports[0], peer: ports[1], home, child: None }
    };
    let members: Vec<Member> = ports.chunks(2).enumerate().map(member).collect();
    let cluster = members
        .iter()
        .map(|m| format!("{}=http://127.0.0.1:{}", m.name, m.peer))
        .collect::<Vec<_>>()
        .join(",");
    (members, cluster)
}

/// One connection to the JSON gateway.
pub struct Client {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
    pub token: Option<String>,
}

impl Client {
    /// Status and answer of one request; an error when the server is gone.
    pub fn post(&mut self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        let answer = self.exchange(path, body);
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    /// Adds, updates or removes a member: asked again while the cluster is not ready for it.
    pub fn member(&mut self, change: &str, body: &Value) -> io::Result<(u16, Value)> {
        let deadline = support::run::deadline();
        loop {
            let (status, answer) = self.post(&format!("cluster/member/{change}"), body)?;
            let said = answer.to_string();
            let later = answer.is_null() || said.contains("unhealthy") || said.contains("deadline exceeded");
            if status == 200 || !later || Instant::now() > deadline {
                return Ok((status, answer));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn exchange(&mut self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(120)))?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut().unwrap();
        let body = body.to_string();
        let token =
            self.token.as_ref().map_or_else(String::new, |token| format!("Authorization: {token}\r\n"));
        // Raft drops such a change while one is not yet applied for it; who asked for it would wait for ever.
        let limit = if path.starts_with("cluster/member/") { "Grpc-Timeout: 20S\r\n" } else { "" };
        let request = format!(
            "POST /v3/{path} HTTP/1.1\r\nHost: localhost\r\n{token}{limit}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length, mut chunked, mut line) = (0, 0, false, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let lower = line.trim().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            } else if let Some(code) = lower.strip_prefix("http/1.1 ") {
                status = code[..3].parse().unwrap();
            } else if let Some(n) = lower.strip_prefix("content-length: ") {
                length = n.parse().unwrap();
            } else if lower == "transfer-encoding: chunked" {
                chunked = true;
            }
        }
        let mut bytes = Vec::new();
        loop {
            if chunked {
                line.clear();
                stream.read_line(&mut line)?;
                length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            }
            let at = bytes.len();
            bytes.resize(at + length, 0);
            stream.read_exact(&mut bytes[at..])?;
            if chunked {
                line.clear();
                stream.read_line(&mut line)?;
            }
            if !chunked || length == 0 {
                break;
            }
        }
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Logs in; without authentication nothing happens.
    pub fn login(&mut self, name: &str) {
        self.token = None;
        if let Ok((200, answer)) =
            self.post("auth/authenticate", &json!({"name": name, "password": format!("pw-{name}")}))
        {
            self.token = answer["token"].as_str().map(str::to_owned);
        }
    }
}
