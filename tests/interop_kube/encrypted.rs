//! A server whose keys were rotated six times, over every kind of provider: what coldbolt opens of its snapshot, what it says is
//! left under which key, and why it does not open the rest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::kube_server::KubeServer;
use support::{Input, coldbolt, peers};

/// What the server wrote with in a stage, and how `kube encryption` names it. Newest last.
struct Stage {
    provider: Option<Value>,
    kms_key: &'static str,
    by: &'static str,
}

fn stages(socket: &str) -> [Stage; 7] {
    let key = |name: &str, byte: char| json!({"name": name, "secret": base64(&byte.to_string().repeat(32))});
    let by_keys = |kind: &str, keys: &[Value]| Some(json!({kind: {"keys": keys}}));
    let kms =
        Some(json!({"kms": {"apiVersion": "v2", "name": "vault", "endpoint": socket, "timeout": "10s"}}));
    let stage = |provider, kms_key, by| Stage { provider, kms_key, by };
    [
        stage(None, "", "plain"),
        stage(by_keys("aescbc", &[key("first", '1')]), "", "aescbc:v1:first"),
        stage(by_keys("aesgcm", &[key("second", '2')]), "", "aesgcm:v1:second"),
        stage(by_keys("secretbox", &[key("third", '3')]), "", "secretbox:v1:third"),
        stage(kms.clone(), "key/1", "kms:v2:vault key/1"),
        stage(kms, "key/2", "kms:v2:vault key/2"),
        stage(by_keys("secretbox", &[key("fourth", '4'), key("third", '3')]), "", "secretbox:v1:fourth"),
    ]
}

fn base64(text: &str) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text)
}

/// The configuration of that stage: its provider first, those of the stages before it behind, of each kind the newest, and what is plain.
fn configuration(stages: &[Stage]) -> String {
    let kind = |provider: &Value| provider.as_object().unwrap().keys().next().unwrap().clone();
    let mut providers: Vec<Value> = Vec::new();
    for provider in stages.iter().rev().filter_map(|stage| stage.provider.clone()) {
        if !providers.iter().any(|there| kind(there) == kind(&provider)) {
            providers.push(provider);
        }
    }
    providers.push(json!({"identity": {}}));
    let resources = json!([{"resources": ["secrets"], "providers": providers}]);
    json!({"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": resources})
        .to_string()
}

/// The KMS, which writes down what it wraps.
struct Kms(Child);

impl Kms {
    fn start(dir: &Path, key: &str) -> Option<Kms> {
        let program = peers::find("kms-plugin/kms-plugin")?;
        let socket = dir.join("kms.sock");
        // Left by the one before.
        let _ = fs::remove_file(&socket);
        let mut command = peers::command(&program, dir);
        command.arg(&socket).arg(dir.join("kms-keys")).arg(key).stdin(Stdio::null());
        let kms = Kms(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            assert!(Instant::now() < deadline, "the KMS does not serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(kms)
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A snapshot of the server, and the files with all keys.
struct Rotated {
    dir: tempfile::TempDir,
    server: KubeServer,
    snapshot: Input,
    /// `secret/rewritten` as kubectl printed it after each stage.
    rewritten: Vec<Value>,
    _kms: Kms,
}

const IN: [&str; 2] = ["-n", "vault"];

impl Rotated {
    /// `None` if the programs are not installed.
    fn start() -> Option<Rotated> {
        let dir = tempfile::tempdir().unwrap();
        let socket = format!("unix://{}", dir.path().join("kms.sock").display());
        let (stages, mut rewritten) = (stages(&socket), Vec::new());
        let mut server = KubeServer::start()?;
        let mut kms = Kms::start(dir.path(), stages[4].kms_key)?;
        server.kubectl(&["create", "namespace", "vault"]);
        for (number, stage) in stages.iter().enumerate() {
            if stage.kms_key == "key/2" {
                drop(kms);
                kms = Kms::start(dir.path(), stage.kms_key)?;
            }
            if number > 0 {
                server.encrypt(&configuration(&stages[..=number]));
            }
            let value = format!("--from-literal=stage={number}");
            let create = |name: &str| {
                let name = name.replace('N', &number.to_string());
                server.kubectl(&[&["create", "secret", "generic", &name, &value], &IN[..]].concat());
            };
            create("at-N");
            create("deleted-N");
            if number == 0 {
                create("rewritten");
            } else {
                server
                    .kubectl(&[&["delete", "secret", &format!("deleted-{}", number - 1)], &IN[..]].concat());
                let patch = json!({"stringData": {"stage": number.to_string()}}).to_string();
                server.kubectl(&[&["patch", "secret", "rewritten", "--patch", &patch], &IN[..]].concat());
            }
            let printed = server.kubectl(&[&["get", "secret", "rewritten", "-o", "json"], &IN[..]].concat());
            rewritten.push(serde_json::from_str(&printed).unwrap());
        }
        let path = dir.path().join("snapshot.db");
        server.etcd.save(&path);
        private(&dir.path().join("all-keys"), &configuration(&stages));
        fs::set_permissions(dir.path().join("kms-keys"), fs::Permissions::from_mode(0o600)).unwrap();
        Some(Rotated { dir, server, snapshot: Input::new(path), rewritten, _kms: kms })
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// That command of the snapshot with the keys in these files.
    fn run(&self, command: &[&str], rest: &[&str], configuration: &str) -> support::Run {
        let (configuration, kms) = (self.path(configuration), self.path("kms-keys"));
        let keys = ["--encryption-config", &configuration, "--kms-key", &kms];
        coldbolt([command, &[self.snapshot.name()], rest, &keys].concat())
    }
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn what_a_live_server_encrypted_over_six_rotations_opens_as_kubectl_prints_it() {
    let Some(rotated) = Rotated::start() else { return };
    for form in ["yaml", "json"] {
        let theirs = rotated.server.kubectl(&["get", "secrets", "-A", "-o", form]);
        let ours =
            rotated.run(&["kube", "get"], &["secrets", "-A", "--show-secrets", "-o", form], "all-keys");
        assert_eq!((ours.code, ours.text()), (0, &*theirs), "{ours}");
    }
    // What each stage wrote of the one that was written again in each.
    for theirs in &rotated.rewritten {
        let revision = theirs["metadata"]["resourceVersion"].as_str().unwrap();
        let args = ["secret", "rewritten", "--rev", revision, "--show-secrets", "-o", "json"];
        let ours = rotated.run(&["kube", "get"], &[&args[..], &IN].concat(), "all-keys");
        assert_eq!((ours.code, &ours.json()), (0, theirs), "{ours}");
    }
    let run = rotated.run(&["verify"], &["--level", "objects"], "all-keys");
    assert_eq!(run.code, 0, "{run}");
    left(&rotated);
    other_keys(&rotated);
    rotated.snapshot.unchanged();
    moved(rotated);
}

/// Live and in history, what is plain or under an older key is what the stages left there.
fn left(rotated: &Rotated) {
    let all = stages("");
    let newest = all.last().unwrap().by;
    let mut due = Vec::new();
    for (number, stage) in all.iter().enumerate().filter(|(_, stage)| stage.by != newest) {
        let mut value = |place: &str, name: &str| {
            due.push((place.to_owned(), format!("/registry/secrets/vault/{name}"), stage.by.to_owned()));
        };
        value("live", &format!("at-{number}"));
        value("history", &format!("deleted-{number}"));
        value("history", "rewritten");
    }
    due.sort();
    let args = ["kube", "encryption", rotated.snapshot.name(), "--only", "secrets", "--all", "-w", "json"];
    let run = coldbolt(args);
    assert_eq!(run.code, 0, "{run}");
    let answer = run.json();
    let [secrets] = answer["resources"].as_array().unwrap().as_slice() else { panic!("{answer:#}") };
    let mut told = Vec::new();
    for value in secrets["values_left"].as_array().unwrap() {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let by = format!("{}:{}:{} {}", text("provider"), text("version"), text("name"), text("kms_key"));
        let plain = text("protection") == "plain";
        told.push((
            text("place"),
            text("key"),
            if plain { "plain".to_owned() } else { by.trim_end().to_owned() },
        ));
    }
    told.sort();
    assert_eq!(told, due);
}

/// A key that is gone, and another of the same name.
fn other_keys(rotated: &Rotated) {
    let all = fs::read_to_string(rotated.path("all-keys")).unwrap();
    let mut gone: Value = serde_json::from_str(&all).unwrap();
    let providers = gone["resources"][0]["providers"].as_array_mut().unwrap();
    providers.retain(|provider| provider.get("aescbc").is_none());
    private(&rotated.dir.path().join("gone"), &gone.to_string());
    let other = all.replace(&base64(&"2".repeat(32)), &base64(&"9".repeat(32)));
    assert_ne!(other, all);
    private(&rotated.dir.path().join("other"), &other);
    for (keys, name, why) in [
        ("gone", "at-1", "aescbc:v1:first: "),
        ("other", "at-2", "aesgcm:v1:second: none of the 1 keys that were given for it opens it"),
    ] {
        let run = rotated.run(&["kube", "get"], &[&["secrets"], &IN[..]].concat(), keys);
        run.says(4, &["not opened: ", why]);
        let opened = |name: &str| {
            let row = run.text().lines().find(|row| row.starts_with(&format!("{name} "))).unwrap();
            row.split_whitespace().nth(1) == Some("Opaque")
        };
        for number in 0..7 {
            let at = format!("at-{number}");
            assert_eq!(opened(&at), at != name, "{at}: {run}");
        }
    }
}

/// A value that is copied to another key: the server refuses it, and ours says where it belongs.
fn moved(rotated: Rotated) {
    let from = "/registry/secrets/vault/at-2";
    let etcd = &rotated.server.etcd;
    let mut value = etcd.try_ctl(&["get", from, "--print-value-only"], b"").stdout;
    // The end of line that etcdctl adds.
    assert_eq!(value.pop(), Some(b'\n'));
    etcd.ctl_stdin(&["put", "/registry/secrets/vault/moved"], &value);
    let theirs = rotated.server.try_kubectl(&[&["get", "secret", "moved"], &IN[..]].concat(), b"");
    assert!(!theirs.status.success(), "{theirs:?}");
    let path = rotated.dir.path().join("moved.db");
    etcd.save(&path);
    let rotated = Rotated { snapshot: Input::new(path), ..rotated };
    let run = rotated.run(&["kube", "get"], &[&["secret", "moved"], &IN[..]].concat(), "all-keys");
    run.says(4, &[from]);
    rotated.snapshot.unchanged();
}
