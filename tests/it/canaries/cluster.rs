//! Files full of secrets: a database, a member's data directory, files of keys, manifests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::bolt::writer::Options;
use coldbolt::codec::checksum::sha256;
use coldbolt::etcd::auth::User;
use coldbolt::etcd::request::{
    AuthUserAddRequest, AuthUserChangePasswordRequest, InternalAuthenticateRequest, InternalRaftRequest,
    PutRequest, RequestHeader,
};
use coldbolt::kube::decode::{Encoding, Object};
use coldbolt::kube::encode::{Like, encode};
use coldbolt::raft::{ConfState, Snapshot, SnapshotMetadata};
use coldbolt::snap::file::SnapFile;
use prost::Message;
use serde_json::{Value, json};
use support::backup::Backup;
use support::buckets::{Buckets, MEMBER, revision};
use support::key_value::KeyValue;
use support::member::{Member, Record, conf_change, member_json, snap_path};
use support::{Input, coldbolt, fixture};

use crate::sealed;

/// What is secret, each in one place.
pub const OPAQUE: &str = "canaryOpaque7f3a91c4e2";
const APPLIED: &str = "canaryApplied5d20b8e6f1";
const STRING: &str = "canaryString19ce47a0d3";
const DOCKER: &str = "canaryDocker8b64f2091a";
const BOOTSTRAP: &str = "canaryBootstrap30e9d7c5";
const WRONG: &str = "canaryWrongKind6a1f08b2";
const BROKEN: &str = "canaryBroken42d8e9f7c0";
const PROTOBUF: &str = "canaryProtobuf91b7d3e05f";
const PROTOBUF_APPLIED: &str = "canaryProtoApplied4c8e2";
const CBOR: &str = "canaryCborSecret2f9a7d1c";
/// A token as service accounts have it, but for what is in it; and a copy where OpenShift keeps one.
const ACCOUNT: &str = "canaryAccountToken6e1d9b3f";
const ANNOTATED: &str = "canaryAnnotatedToken8a5c0";
const JWT_KEY: &str = "canaryJwtSigningKey3d7f21b9";
const ENCRYPTED: &str = "canaryEncrypted0c6b4a82e7";
const RAN: &str = "canaryChangedLater77d0e1f5";
/// Users of etcd's own: what the database has of a password, and what requests in the log say.
const HASH: &str = "$2b$10$canaryHashOfARootUser8d1f3";
const ADDED: &str = "canaryPasswordAdded5b2e8c0";
const CHANGED: &str = "canaryPasswordChanged7e4d1";
const HASHED: &str = "$2b$10$canaryHashInTheLog55d1a7";
const LOGIN: &str = "canaryPasswordOfLogin9c3f6";
const SIMPLE: &str = "canarySimpleToken2a8d7e1b4";
const IN_LOG: &str = "canarySecretInTheLog6f0c2d8";
const V2: &str = "canaryKeyOfTheV2Store1b9e6c";
/// What k3s encrypts with the server's token; both are in the fixture of its test.
const K3S: &str = "pw,server,server,k3s:server";
pub const K3S_TOKEN: &str = "correct horse";
/// In files that are given beside the input.
const GIVEN: &str = "canaryGivenManifest4e7a0d9c";
const POD: &str = "canaryEnvOfTheStaticPod8c1";

pub const CANARIES: [&str; 30] = [
    OPAQUE,
    APPLIED,
    STRING,
    DOCKER,
    BOOTSTRAP,
    WRONG,
    BROKEN,
    PROTOBUF,
    PROTOBUF_APPLIED,
    CBOR,
    ACCOUNT,
    ANNOTATED,
    JWT_KEY,
    ENCRYPTED,
    RAN,
    HASH,
    ADDED,
    CHANGED,
    HASHED,
    LOGIN,
    SIMPLE,
    IN_LOG,
    V2,
    K3S,
    K3S_TOKEN,
    GIVEN,
    POD,
    sealed::RING,
    sealed::DEK,
    sealed::SEED,
];
/// What no command ever shows, whatever it is asked.
pub const NEVER: [&str; 4] = [K3S_TOKEN, sealed::RING, sealed::DEK, sealed::SEED];
/// What no command has a reason to print: it is in files that are given, in those that are restored, or encrypted.
pub const NOT_SHOWN: [&str; 8] = [K3S, K3S_TOKEN, GIVEN, POD, V2, sealed::RING, sealed::DEK, sealed::SEED];
/// What `wal dump` leaves out although it prints what was put.
pub const OF_REQUESTS: [&str; 5] = [ADDED, CHANGED, HASHED, LOGIN, SIMPLE];

/// The members of the cluster beside the one whose files they are.
const OTHERS: [u64; 2] = [0xb0b, 0xca71];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Its key, and the value.
const K3S_ANSWER: &str = include_str!("../../peers/go/k3s-bootstrap/answer.txt");

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

fn secret(name: &str, more: Value) -> Value {
    let mut object =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "n"}});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn stored(object: &Value, encoding: Encoding) -> Vec<u8> {
    let mut object = Object::decode(object.to_string().as_bytes()).unwrap();
    object.encoding = encoding;
    encode(&object, &Like::newest().for_given()).unwrap()
}

fn applied(name: &str, canary: &str, more: Value) -> Value {
    let applied = json!({"kind": "Secret", "stringData": {"p": canary}}).to_string();
    let mut annotations = json!({LAST_APPLIED: applied});
    annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"name": name, "namespace": "n", "annotations": annotations})
}

/// Names and objects, in each encoding.
fn secrets(opaque: &str) -> Vec<(&'static str, Vec<u8>)> {
    let docker = json!({"auths": {"r": {"auth": base64(&format!("u:{DOCKER}"))}}}).to_string();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{JWT_KEY}\n-----END PRIVATE KEY-----\n");
    let account = json!({
        "kubernetes.io/service-account.name": "builder",
        "openshift.io/token-secret.value": format!("eyJhbGciOiJSUzI1NiJ9.eyJ{ANNOTATED}.c2ln"),
    });
    let token = format!("eyJhbGciOiJSUzI1NiJ9.eyJ{ACCOUNT}.c2ln");
    let json = |name: &'static str, more: Value| (name, secret(name, more).to_string().into_bytes());
    let protobuf = |name: &'static str, more: Value| (name, stored(&secret(name, more), Encoding::Protobuf));
    vec![
        json(
            "opaque",
            json!({"metadata": applied("opaque", APPLIED, json!({})), "type": "Opaque", "data": {"p": base64(opaque)}}),
        ),
        json("string", json!({"type": "Opaque", "stringData": {"p": STRING}})),
        json(
            "docker",
            json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": base64(&docker)}}),
        ),
        protobuf(
            "bootstrap-token-abcdef",
            json!({"type": "bootstrap.kubernetes.io/token", "data": {"token-secret": base64(BOOTSTRAP)}}),
        ),
        json("wrong", json!({"kind": "secret", "data": {"p": base64(WRONG)}})),
        ("broken", format!("{{\"kind\":\"Secret\",\"data\":{{\"p\":\"{BROKEN}").into()),
        protobuf(
            "protobuf",
            json!({
                "metadata": applied("protobuf", PROTOBUF_APPLIED, json!({})),
                "type": "Opaque", "data": {"p": base64(PROTOBUF)},
            }),
        ),
        ("cbor", stored(&secret("cbor", json!({"data": {"p": base64(CBOR)}})), Encoding::Cbor)),
        protobuf(
            "builder-token-x",
            json!({
                "metadata": {"name": "builder-token-x", "namespace": "n", "annotations": account},
                "type": "kubernetes.io/service-account-token", "data": {"token": base64(&token)},
            }),
        ),
        json("signing", json!({"type": "kubernetes.io/tls", "data": {"tls.key": base64(&pem)}})),
    ]
}

/// Keys and values, each written once.
fn keys(opaque: &str) -> Vec<(String, Vec<u8>)> {
    let in_place = |name: &str| format!("/registry/secrets/n/{name}");
    let mut all: Vec<_> = secrets(opaque).into_iter().map(|(name, value)| (in_place(name), value)).collect();
    for name in ["aescbc", "aesgcm", "secretbox", "kms:v1", "kms:v2"] {
        let key = in_place(&format!("sealed-{}", name.replace(':', "-")));
        let object = secret(key.rsplit('/').next().unwrap(), json!({"data": {"p": base64(ENCRYPTED)}}));
        let plain = stored(&object, Encoding::Protobuf);
        let sealed = sealed::all(&key, &plain).into_iter().find(|(prefix, _)| prefix.starts_with(name));
        all.push((key, sealed.unwrap().1));
    }
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map", "namespace": "n"}, "data": {"x": "y"}});
    all.push(("/registry/configmaps/n/map".to_owned(), stored(&map, Encoding::Protobuf)));
    let (key, value) = K3S_ANSWER.trim_end().split_once('\n').unwrap();
    all.push((key.to_owned(), value.into()));
    all.push((
        "/registry/namespaces/n".to_owned(),
        br#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}"#.into(),
    ));
    all
}

/// A member's buckets: every key at a revision of its own from 2 on, the first one twice.
fn buckets(opaque: &str) -> Buckets {
    let mut all = Buckets::alone("default", "3.6.0", 20);
    let keys = keys(opaque);
    let (first, again) = (keys[0].0.clone(), secret("opaque", json!({"data": {"p": base64(RAN)}})));
    let mut put = |main: i64, key: &str, value: &[u8], create_revision: i64, version: i64| {
        let (key, value) = (key.into(), value.to_vec());
        let kv = KeyValue { key, create_revision, mod_revision: main, version, value, lease: 0 };
        all.put("key", &revision(main, 0, false), &kv.encode_to_vec());
    };
    put(2, &first, again.to_string().as_bytes(), 2, 1);
    for (main, (key, value)) in (3..).zip(&keys) {
        let again = main == 3;
        put(main, key, value, if again { 2 } else { main }, if again { 2 } else { 1 });
    }
    for (name, hash) in [("root", HASH), ("ann", HASH)] {
        let roles = vec![b"root".to_vec()];
        let user = User { name: name.into(), password: hash.into(), roles, options: None };
        all.put("authUsers", name.as_bytes(), &user.encode_to_vec());
    }
    all
}

fn snapshot(opaque: &str) -> Vec<u8> {
    let mut bytes = buckets(opaque).database(Options::default());
    bytes.extend(sha256(&bytes));
    bytes
}

/// The first Secret alone, and its namespace.
/// A database, and behind its last page what was in it as versions that it stores no more.
fn leftovers(db: &[u8]) -> Vec<u8> {
    let mut bytes = db.to_vec();
    for (main, (key, value)) in (1_000_000..).zip(keys(OPAQUE)) {
        let kv = KeyValue {
            key: key.into(),
            create_revision: main,
            mod_revision: main,
            version: 1,
            value,
            lease: 0,
        };
        bytes.extend([revision(main, 0, false), kv.encode_to_vec()].concat());
    }
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    bytes
}

fn plain_snapshot() -> Vec<u8> {
    let keys = keys(OPAQUE);
    let keys = [keys.last(), keys.first()].into_iter().flatten().cloned().collect();
    Backup { keys, ..Backup::of(0) }.bytes()
}

/// A member whose log adds a user, changes a password, lets a user in, and puts a Secret.
fn member() -> Member {
    let mut member = Member { buckets: buckets(OPAQUE), ..Member::good() };
    let hashed = base64(HASHED);
    let add =
        AuthUserAddRequest { name: b"bob".into(), password: ADDED.into(), ..AuthUserAddRequest::default() };
    let change = AuthUserChangePasswordRequest {
        name: b"ann".into(),
        password: CHANGED.into(),
        hashed_password: hashed.into(),
    };
    let login = InternalAuthenticateRequest {
        name: b"ann".into(),
        password: LOGIN.into(),
        simple_token: SIMPLE.into(),
    };
    let later = secret("later", json!({"data": {"p": base64(IN_LOG)}}));
    let put = PutRequest {
        key: b"/registry/secrets/n/later".into(),
        value: stored(&later, Encoding::Protobuf),
        ..PutRequest::default()
    };
    let none = InternalRaftRequest::default;
    let requests = [
        InternalRaftRequest { auth_user_add: Some(add), ..none() },
        InternalRaftRequest { auth_user_change_password: Some(change), ..none() },
        InternalRaftRequest { authenticate: Some(login), ..none() },
        InternalRaftRequest { put: Some(put), ..none() },
    ];
    for (index, mut request) in (20..).zip(requests) {
        request.header = Some(RequestHeader { id: index, ..RequestHeader::default() });
        member.entry(index).data = Some(request.encode_to_vec());
    }
    member.buckets.index(19, 2);
    member
}

/// The same of a cluster with another voter and a learner.
fn of_three(mut member: Member) -> Member {
    let added = [(2, OTHERS[0], false), (3, OTHERS[1], true)];
    for (index, id, learner) in added {
        let json = member_json(id, learner);
        let Record::Entry(change) = conf_change(index, 1, if learner { 3 } else { 0 }, id, &json) else {
            continue;
        };
        *member.entry(index) = change;
        member.buckets.put("members", format!("{id:x}").as_bytes(), json.as_bytes());
    }
    let voters = [MEMBER, OTHERS[0]];
    let conf_state = json!({"voters": voters, "learners": [OTHERS[1]], "auto_leave": false}).to_string();
    member.buckets.put("meta", b"confState", conf_state.as_bytes());
    member.snaps = vec![(10, 1, vec![(MEMBER, false), (OTHERS[0], false), (OTHERS[1], true)])];
    member
}

/// A raft snapshot with a key of the v2 API in its store.
fn v2_snap() -> Vec<u8> {
    let key = json!({"Path": "/1/k", "Value": V2});
    let store =
        json!({"Root": {"Children": {"1": {"Path": "/1", "Children": {"k": key}}}}, "CurrentVersion": 2});
    let conf_state = ConfState { voters: vec![MEMBER], ..ConfState::default() };
    let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: Some(10), term: Some(1) };
    SnapFile::encode(&Snapshot { data: Some(store.to_string().into_bytes()), metadata: Some(metadata) })
}

/// Files of keys that cannot be used, as they are wrong in one place: each holds a key.
fn bad_keys() -> Vec<(String, String)> {
    let [good, lines] = sealed::key_files();
    let key = BASE64_STANDARD.encode(sealed::RING);
    let config = |name: &str, text: String| (format!("BADKEYS.{name}"), text);
    let line = |name: &str, text: String| (format!("BADLINES.{name}"), text);
    vec![
        config("list", good.replace("\"secret\":", "\"secret\": [1],\"x\":")),
        config("number", good.replace(&format!("\"{key}\""), "17")),
        config("short", good.replace(&key, &base64(&sealed::RING[..31]))),
        config("digits", good.replace(&key, &format!("{key}!"))),
        config("name", good.replace("\"name\"", "\"nome\"")),
        config("cut", good[..good.len() - 20].to_owned()),
        config("kind", good.replace("EncryptionConfiguration", &key)),
        config("yaml", format!("kind: EncryptionConfiguration\nresources: {key}\n")),
        config("text", key.clone()),
        line("words", format!("id {key} {key} {key}\n")),
        line("digits", lines.replacen("id ", "id !", 1)),
        line("short", format!("id {}\n", base64(&sealed::DEK[..30]))),
        line("one", format!("{key}\n")),
    ]
}

const STATIC_POD: &str = "\
kind: Pod
spec:
  containers:
  - name: etcd
    image: r/etcd:v3.6.4-0
    command: [etcd, --name=default, --data-dir=/var/lib/etcd, --initial-advertise-peer-urls=http://localhost:2380,
      \"--initial-cluster=default=http://localhost:2380\"]
    env: [{name: ETCD_AUTH_TOKEN, value: CANARY}]
    volumeMounts: [{name: d, mountPath: /var/lib/etcd}]
  volumes: [{name: d, hostPath: {path: /var/lib/etcd}}]
";

/// The files, by the word that stands for each in a command line.
pub struct Inputs {
    names: BTreeMap<String, PathBuf>,
    inputs: Vec<Input>,
}

impl Inputs {
    pub fn write(dir: &Path) -> Inputs {
        let mut all = Inputs { names: BTreeMap::new(), inputs: Vec::new() };
        let db = snapshot(OPAQUE);
        let [configuration, kms] = sealed::key_files();
        let wrong = configuration.replace(&base64(sealed::RING), &base64(&sealed::RING.to_uppercase()));
        let manifest = secret("new", json!({"stringData": {"p": GIVEN}})).to_string();
        let pod = STATIC_POD.replace("CANARY", POD);
        for (name, bytes) in [
            ("DB", &*db),
            ("OTHER", &snapshot("other")),
            ("CUT", &db[..db.len() / 2]),
            ("PLAIN", &plain_snapshot()),
            ("UNSEALED", &db[..db.len() - 32]),
            ("LEFTOVERS", &leftovers(&db[..db.len() - 32])),
            ("KEYS", configuration.as_bytes()),
            ("WRONGKEYS", wrong.as_bytes()),
            ("KMS", kms.as_bytes()),
            ("TOKEN", K3S_TOKEN.as_bytes()),
            ("WRONGTOKEN", format!("{K3S_TOKEN}s").as_bytes()),
            ("MANIFEST", manifest.as_bytes()),
            ("BADMANIFEST", manifest.replace("\"p\":", "\"p\":: ").as_bytes()),
            ("FOREIGN", manifest.replace("stringData", "strinData").as_bytes()),
            ("ODD", manifest.replace("\"p\":", "\"p\": [1],\"q\":").as_bytes()),
            ("POD", pod.as_bytes()),
            ("BADPOD", pod.replace("value: ", "value: [").as_bytes()),
            ("V2SNAP", &v2_snap()),
        ] {
            all.add(dir, name, bytes);
        }
        let closed = dir.join("CLOSED.age");
        let token = all.names["TOKEN"].to_str().unwrap();
        let made = ["encrypt", all.names["DB"].to_str().unwrap(), "--passphrase-file", token];
        coldbolt(made.into_iter().chain(["-o", closed.to_str().unwrap()])).says(0, &[]);
        all.keep("CLOSED", closed);
        bad_keys().iter().for_each(|(name, text)| all.add(dir, name, text.as_bytes()));
        let member = member();
        let files = member.files();
        let path = dir.join("DIR");
        files.write(&path);
        all.names.insert("SNAP".to_owned(), path.join(snap_path(10, 1)));
        all.keep("DIR", path);
        of_three(member).files().write(&dir.join("THREE"));
        all.keep("THREE", dir.join("THREE"));
        // With the hashes of real passwords.
        all.keep("USERS", fixture("small-3.5.1/snapshot.db"));
        // Its log ends inside the request that adds a user; and one byte of that request is another one.
        let last = files.last_wal();
        let bytes = &files.0[&last];
        let at = bytes.windows(ADDED.len()).position(|part| part == ADDED.as_bytes()).unwrap();
        let (mut torn, mut changed) = (files.clone(), files);
        torn.get(&last).truncate(at + 8);
        changed.get(&last)[at] ^= 1;
        for (name, files) in [("TORN", torn), ("CHANGED", changed)] {
            files.write(&dir.join(name));
            all.keep(name, dir.join(name));
        }
        all
    }

    fn add(&mut self, dir: &Path, name: &str, bytes: &[u8]) {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.keep(name, path);
    }

    fn keep(&mut self, name: &str, path: PathBuf) {
        self.inputs.push(Input::new(&path));
        self.names.insert(name.to_owned(), path);
    }

    /// The file that a word stands for.
    pub fn path(&self, word: &str) -> Option<&str> {
        self.names.get(word)?.to_str()
    }

    /// The words for files of keys that cannot be used.
    pub fn bad_keys(&self) -> Vec<String> {
        self.names.keys().filter(|name| name.starts_with("BAD") && name.contains('.')).cloned().collect()
    }

    pub fn unchanged(&self) {
        self.inputs.iter().for_each(Input::unchanged);
    }
}

/// A database of the secrets alone, with its keys and values.
pub fn database() -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    (snapshot(OPAQUE), keys(OPAQUE))
}
