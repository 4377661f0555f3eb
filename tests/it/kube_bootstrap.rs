//! `kube bootstrap`: which token fits, what it opens, and that nothing of it is printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use coldbolt::etcd::request::{InternalRaftRequest, PutRequest, RequestHeader};
use prost::Message;
use serde_json::json;
use support::backup::Backup;
use support::member::Member;
use support::packed::unpacked;
use support::{Input, Run, coldbolt, command, fixture};

/// Made by the program beside it, with Go's cryptography.
const ANSWER: &str = include_str!("../peers/go/k3s-bootstrap/answer.txt");
const PASSWD: &str = "pw,server,server,k3s:server\n";

fn backup(value: impl FnOnce(&str) -> String) -> Vec<u8> {
    let (key, sealed) = ANSWER.trim_end().split_once('\n').unwrap();
    let other = ("/bootstrap/0123456789ab".to_owned(), b"00ff:AAAA".to_vec());
    Backup { keys: vec![other, (key.to_owned(), value(sealed).into_bytes())], ..Backup::of(0) }.bytes()
}

fn bootstrap(input: &Input, token: &str, more: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, token).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut args = vec!["kube", "bootstrap", input.name(), "--token-file", file.to_str().unwrap()];
    args.extend(more);
    let run = coldbolt(args);
    input.unchanged();
    assert!(!run.text().contains(token) && !run.err.contains(token), "{run}");
    run
}

#[test]
fn the_token_fits_one_of_several_keys_and_its_files_are_written_whole_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "a.db", &backup(str::to_owned));
    let to = dir.path().join("server");
    let run = bootstrap(&input, "correct horse", &["-w", "json", "--extract", to.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{run}");
    let fits: Vec<_> =
        run.json()["keys"].as_array().unwrap().iter().map(|key| key["of_token"].clone()).collect();
    assert_eq!(fits, [json!(false), json!(true)]);
    assert!(!run.text().contains(PASSWD.trim_end()), "{run}");
    let passwd = to.join("cred/passwd");
    assert_eq!(fs::read_to_string(&passwd).unwrap(), PASSWD);
    assert_eq!(fs::metadata(&passwd).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(to.join("cred/encryption-config.json").is_file());
    assert_eq!(bootstrap(&input, "correct horse", &["--extract", to.to_str().unwrap()]).code, 1);
}

#[test]
fn another_token_and_a_changed_value_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "a.db", &backup(str::to_owned));
    bootstrap(&input, "wrong horse", &[]).says(1, &["the token is another one"]);
    let changed = Input::write(dir.path(), "b.db", &backup(|value| value.replacen("dHdl", "dHdm", 1)));
    bootstrap(&changed, "correct horse", &[]).says(1, &["its authentication fails"]);
    let empty = Input::write(dir.path(), "c.db", &Backup::of(1).bytes());
    bootstrap(&empty, "correct horse", &[]).says(4, &["there is no bootstrap key"]);
}

#[test]
fn a_reader_that_goes_away_changes_neither_the_verdict_nor_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "a.db", &backup(str::to_owned));
    let to = dir.path().join("server");
    for (token, code) in [("wrong horse", 1), ("correct horse", 0)] {
        let file = Input::write(dir.path(), "token", token.as_bytes());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let args = ["kube", "bootstrap", input.name(), "--token-file", file.name(), "--extract"];
        let mut program = command(args);
        let status = program.arg(&to).stdout(writer).stderr(Stdio::null()).status().unwrap();
        assert_eq!((status.code(), to.join("cred/passwd").is_file()), (Some(code), code == 0), "{token}");
    }
    input.unchanged();
}

#[test]
fn a_token_leads_to_the_keys_of_the_api_server_and_these_to_its_secrets() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["state.db", "state.db-wal"] {
        fs::write(dir.path().join(name), unpacked(&fixture(&format!("kine/{name}.gz")))).unwrap();
    }
    let input = Input::new(dir.path().join("state.db"));
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("server");
    let run = bootstrap(&input, "correct horse", &["--extract", to.to_str().unwrap()]);
    run.shows(0, &["CN=k3s-server-ca@1790000000", "2036-11-26T13:01:41Z"]);
    let config = to.join("cred/encryption-config.json");
    let secrets = |more: &[&str]| {
        let args =
            ["kube", "get", input.name(), "secret", "s02-aescbc-rotated-0", "-n", "vault", "-o", "json"];
        coldbolt([&args[..], more].concat())
    };
    let encrypted = secrets(&[]);
    assert!(!encrypted.text().contains("\"Opaque\""), "{encrypted}");
    let opened = secrets(&["--encryption-config", config.to_str().unwrap()]);
    assert_eq!((opened.code, &opened.json()["type"]), (0, &json!("Opaque")), "{opened}");
    input.unchanged();
    coldbolt(["inspect", input.name()]).shows(0, &["of k3s or rke2", "`coldbolt kube bootstrap`"]);
}

#[test]
fn a_data_directory_is_looked_through_and_with_its_log_where_only_that_has_the_value() {
    let dir = tempfile::tempdir().unwrap();
    let member = dir.path().join("whole");
    fs::create_dir_all(member.join("member/snap")).unwrap();
    fs::write(member.join("member/snap/db"), backup(str::to_owned)).unwrap();
    bootstrap(&Input::new(&member), "correct horse", &[]).shows(0, &["PasswdFile"]);
    // The log goes on to entry 24, and the database ends at 20.
    let mut logged = Member::good();
    let (key, value) = ANSWER.trim_end().split_once('\n').unwrap();
    let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
    let header = Some(RequestHeader { id: 22, ..RequestHeader::default() });
    let request = InternalRaftRequest { header, put: Some(put), ..InternalRaftRequest::default() };
    logged.entry(22).data = Some(request.encode_to_vec());
    let member = dir.path().join("logged");
    logged.files().write(&member);
    let input = Input::new(&member);
    bootstrap(&input, "correct horse", &[]).says(4, &["there is no bootstrap key"]);
    bootstrap(&input, "correct horse", &["--fold"]).shows(0, &["PasswdFile"]);
}

#[test]
fn a_token_file_that_is_not_there_ends_it_and_one_that_others_can_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "a.db", &backup(str::to_owned));
    let missing = dir.path().join("missing");
    let run = coldbolt(["kube", "bootstrap", input.name(), "--token-file", missing.to_str().unwrap()]);
    run.says(3, &["missing: No such file"]);
    let open = Input::write(dir.path(), "token", b"correct horse\n");
    fs::set_permissions(&open.path, fs::Permissions::from_mode(0o644)).unwrap();
    let run = coldbolt(["kube", "bootstrap", input.name(), "--token-file", open.name()]);
    run.says(0, &["others than its owner can use it (mode 0644)"]);
    input.unchanged();
}
