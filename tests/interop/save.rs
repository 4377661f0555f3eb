//! Snapshots of real members that run: what coldbolt saves is what etcdctl saves, or there is nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::{Member, members};
use support::certificates::{Authority, Pair};
use support::proxy::Proxy;
use support::server::{Server, free_ports};
use support::{Input, Run, VERSIONS, args, binary, coldbolt, command, peers, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn save(endpoints: &str, out: &Path, more: &[&str]) -> Run {
    coldbolt([&["save", "--endpoints", endpoints, "-o", text(out)], more].concat())
}

/// Nothing is there but what these names say.
#[track_caller]
fn only(dir: &Path, names: &[&str]) {
    let mut there: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    assert_eq!(there, names);
}

fn fill(server: &Server, keys: usize) {
    for key in 0..keys {
        server.ctl(&["put", &format!("/app/{key}"), &format!("value {key}")]);
    }
    server.ctl(&["del", "/app/1"]);
}

/// The tool that tells of snapshot files.
fn told(version: &str, file: &Path) -> String {
    let tool = if version == "3.4.23" { "etcdctl" } else { "etcdutl" };
    let tool = peers::find(&format!("etcd-{version}/{tool}")).unwrap();
    let mut command = peers::command(&tool, file.parent().unwrap());
    let output = command.args(["snapshot", "status", text(file), "-w", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_saved_of_each_version_is_what_its_own_etcdctl_saves() {
    for version in VERSIONS {
        let Some(server) = Server::start(version, &[]) else { return };
        fill(&server, 20);
        let home = tempfile::tempdir().unwrap();
        let [ours, theirs, manifest] =
            ["ours.db", "theirs.db", "ours.json"].map(|name| home.path().join(name));
        server.save(&theirs);
        let saved = save(server.endpoint(), &ours, &["--manifest", text(&manifest), "-w", "json"]);
        assert_eq!(saved.code, 0, "{version}: {saved}");
        assert_eq!(saved.json()["confirmed"], 22, "{version}: {saved}");
        // What etcd notes down for itself with each snapshot is in one page, and that is in the metas and the list of
        // free pages: two of etcdctl's differ so, too. All keys and values are the same.
        assert_eq!(told(version, &ours), told(version, &theirs), "{version}");
        assert_eq!(
            coldbolt(["hashkv", text(&ours)]).good(),
            coldbolt(["hashkv", text(&theirs)]).good(),
            "{version}"
        );
        assert_eq!(fs::metadata(&ours).unwrap().len(), fs::metadata(&theirs).unwrap().len(), "{version}");
        coldbolt(args!["verify", ours, "--check-manifest", manifest]).says(0, &[]);
        only(home.path(), &["ours.db", "ours.json", "theirs.db"]);
        let status = coldbolt(["status", "--endpoints", server.endpoint(), "-w", "json"]);
        let member = &status.json()["endpoints"][0]["status"];
        assert_eq!((&member["version"], &member["revision"]), (&json!(version), &json!(22)), "{status}");
        let live = server.ctl_json(&["endpoint", "status"], b"");
        let due = &live[0]["Status"]["dbSize"];
        assert!(member["db_size"].as_u64() >= due.as_u64(), "{status} {live}");
    }
}

#[test]
fn members_and_files_are_compared_as_etcd_compares_them() {
    for version in VERSIONS {
        let Some(server) = Server::start(version, &[]) else { return };
        fill(&server, 20);
        server.ctl(&["compact", "15"]);
        let home = tempfile::tempdir().unwrap();
        let [old, new, other] = ["old.db", "new.db", "other.db"].map(|name| home.path().join(name));
        save(server.endpoint(), &old, &[]).says(0, &[]);
        for key in 0..5 {
            server.ctl(&["put", "/app/more", &format!("{key}")]);
        }
        save(server.endpoint(), &new, &[]).says(0, &[]);
        let inputs = [&old, &new].map(Input::new);
        let compare = |files: &[&Path]| {
            let files = files.iter().map(|file| text(file));
            coldbolt(["compare", "--endpoints", server.endpoint()].into_iter().chain(files))
        };
        let run = compare(&[&old, &new]);
        run.shows(0, &["all agree at revision 22, as if compacted at 15"]);
        // Compacted further than an old file is: it is hashed as if it were.
        server.ctl(&["compact", "20"]);
        compare(&[&old]).shows(0, &["all agree at revision 22, as if compacted at 20"]);
        server.ctl(&["compact", "25"]);
        compare(&[&old]).shows(4, &["not all could be compared"]);
        let Some(stranger) = Server::start(version, &[]) else { return };
        for key in 0..26 {
            stranger.ctl(&["put", "/other", &format!("{key}")]);
        }
        stranger.save(&other);
        stranger.ctl(&["compact", "25"]);
        stranger.save(&home.path().join("other25.db"));
        compare(&[&home.path().join("other25.db")]).shows(1, &["they do not agree at revision 27"]);
        let both = format!("{},{}", server.endpoint(), stranger.endpoint());
        coldbolt(["compare", "--endpoints", &both])
            .shows(1, &["THESE ARE MEMBERS OF 2 CLUSTERS: ", &both[..20]]);
        inputs.iter().for_each(Input::unchanged);
    }
}

/// An etcd of TLS, which ends with the test.
struct Secure {
    child: Mutex<std::process::Child>,
    port: u16,
    _home: tempfile::TempDir,
}

impl Drop for Secure {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Secure {
    fn start(version: &str, ca: &Authority, pair: &Pair, clients: bool) -> Option<Secure> {
        let etcd = peers::find(&format!("etcd-{version}/etcd"))?;
        let home = tempfile::tempdir().unwrap();
        let [port, peer] = free_ports();
        let (url, peer) = (format!("https://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let log = fs::File::create(home.path().join("log")).unwrap();
        let mut command = peers::command(&etcd, home.path());
        command
            .args(["--name", "a", "--data-dir", "data", "--listen-client-urls", &url])
            .args(["--advertise-client-urls", &url, "--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("a={peer}")])
            .args(["--trusted-ca-file", text(&ca.file())])
            .args(["--cert-file", text(&pair.cert), "--key-file", text(&pair.key)]);
        if clients {
            command.arg("--client-cert-auth");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let secure = Secure { child: Mutex::new(child), port, _home: home };
        let deadline = support::run::deadline();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "etcd {version} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(secure)
    }

    fn at(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port)
    }
}

#[test]
fn by_mutual_tls_a_snapshot_comes_from_whom_it_is_meant_to_and_from_nobody_else() {
    for version in VERSIONS {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("pki");
        let out = home.path().join("out");
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(&out).unwrap();
        let (ca, other) = (Authority::new(&dir, "ca"), Authority::new(&dir, "other"));
        let server = ca.pair("server", &["127.0.0.1", "etcd.internal"]);
        let client = ca.pair("healthcheck-client", &[]);
        let Some(etcd) = Secure::start(version, &ca, &server, true) else { return };
        let endpoint = etcd.at("127.0.0.1");
        let with = |endpoint: &str, ca: &Authority, pair: Option<&Pair>, more: &[&str]| {
            let pair = pair.map(|pair| ["--cert", text(&pair.cert), "--key", text(&pair.key)]);
            let mut args = vec!["--retries", "0", "--cacert"];
            let ca = ca.file();
            args.push(text(&ca));
            args.extend(pair.iter().flatten());
            save(endpoint, &out.join("a.db"), &[&args, more].concat())
        };
        with(&endpoint, &ca, Some(&client), &[]).shows(0, &["good at levels"]);
        fs::remove_file(out.join("a.db")).unwrap();
        with(&endpoint, &ca, None, &[]).says(3, &[&endpoint, "TLS", "give a certificate", "--cert"]);
        with(&endpoint, &other, Some(&client), &[]).says(3, &["UnknownIssuer", "--cacert"]);
        let stranger = other.pair("stranger", &[]);
        with(&endpoint, &ca, Some(&stranger), &[]).says(3, &[&endpoint, "TLS"]);
        // `localhost` is in no certificate.
        with(&etcd.at("localhost"), &ca, Some(&client), &[]).says(3, &["not valid for name"]);
        with(&endpoint.replace("https", "http"), &ca, Some(&client), &[]).says(3, &[]);
        let expired = ca.until("expired", &["127.0.0.1"], 2021);
        let Some(late) = Secure::start(version, &ca, &expired, false) else { return };
        with(&late.at("127.0.0.1"), &ca, Some(&client), &[]).says(3, &["certificate expired"]);
        only(&out, &[]);
        let insecure = ["--insecure-skip-tls-verify"];
        with(&late.at("127.0.0.1"), &ca, Some(&client), &insecure)
            .shows(0, &["no server's certificate was verified"]);
        fs::remove_file(out.join("a.db")).unwrap();
        // As kubeadm writes it: nobody has to look for files.
        let manifest = home.path().join("etcd.yaml");
        let pod = format!(
            "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    command: [etcd, --advertise-client-urls={endpoint}, \
             --trusted-ca-file=/pki/ca.crt, --cert-file=/pki/server.crt, --key-file=/pki/server.key]\n    \
             volumeMounts: [{{name: p, mountPath: /pki}}]\n  volumes: [{{name: p, hostPath: {{path: {}}}}}]\n",
            dir.display()
        );
        fs::write(&manifest, pod).unwrap();
        coldbolt(args!["save", "--from-manifest", manifest, "-o", out.join("b.db")]).says(0, &[]);
        coldbolt(args!["status", "--from-manifest", manifest, "-w", "json"]).shows(0, &["leader"]);
        only(&out, &["b.db"]);
    }
}

#[test]
fn where_users_log_in_root_saves_and_others_are_refused() {
    for version in VERSIONS {
        let Some(mut server) = Server::start(version, &[]) else { return };
        server.ctl_stdin(&["user", "add", "root:pw-root"], b"");
        server.ctl(&["user", "grant-role", "root", "root"]);
        server.ctl_stdin(&["user", "add", "ann:pw-ann"], b"");
        server.ctl(&["auth", "enable"]);
        server.login("root:pw-root");
        server.ctl(&["put", "a", "b"]);
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str, password: &str| {
            let path = home.path().join(name);
            fs::write(&path, format!("{password}\n")).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (right, wrong, anns) = (at("right", "pw-root"), at("wrong", "pw-nobody"), at("ann", "pw-ann"));
        let out = home.path().join("out.db");
        let user = |name: &str, file: &str| {
            save(server.endpoint(), &out, &["--user", name, "--password-file", file])
        };
        for (run, why) in [
            (save(server.endpoint(), &out, &[]), "user name is empty"),
            (user("root", &wrong), "authentication failed"),
            (user("ann", &anns), "permission denied"),
        ] {
            assert!(run.code == 3 && run.err.contains(why) && !run.err.contains("pw-"), "{version}: {run}");
            assert!(!out.exists());
        }
        let run = user("root", &right);
        assert!(run.code == 0 && !run.err.contains("pw-") && !run.text().contains("pw-"), "{version}: {run}");
        fs::remove_file(&out).unwrap();
        for (name, password) in [("root", Some("pw-root")), ("root:pw-root", None)] {
            let mut with = command(["save", "-o", text(&out)]);
            with.env("ETCDCTL_ENDPOINTS", server.endpoint()).env("ETCDCTL_USER", name);
            with.envs(password.map(|password| ("ETCDCTL_PASSWORD", password)));
            run::run(with).says(0, &["in the clear"]);
            fs::remove_file(&out).unwrap();
        }
    }
}

#[test]
fn of_three_members_and_a_learner_a_follower_is_asked_and_what_is_stopped_is_told() {
    for version in ["3.4.23", "3.6.14"] {
        let Some(etcdctl) = peers::find(&format!("etcd-{version}/etcdctl")) else { return };
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = members(version, 4, home.path());
        let three: Vec<&str> = cluster.split(',').take(3).collect();
        for member in &mut all[..3] {
            member.start(&["--initial-cluster", &three.join(",")]);
        }
        all[..3].iter_mut().for_each(|member| member.caught_up());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let ctl = |args: &[&str]| {
            let mut command = peers::command(&etcdctl, home.path());
            command.args(["--endpoints", &url(all[0].client)]).args(args);
            let deadline = support::run::deadline();
            // A cluster that has just begun takes no new member.
            while !command.output().unwrap().status.success() {
                assert!(Instant::now() < deadline, "{args:?}");
                std::thread::sleep(Duration::from_millis(500));
            }
        };
        ctl(&["put", "a", "1"]);
        ctl(&["member", "add", "m3", "--learner", &format!("--peer-urls={}", url(all[3].peer))]);
        all[3].start(&["--initial-cluster", &cluster, "--initial-cluster-state", "existing"]);
        let endpoints: Vec<String> = all.iter().map(|member| url(member.client)).collect();
        let status = || coldbolt(["status", "--endpoints", &endpoints.join(","), "-w", "json"]);
        let roles = |run: &Run| -> Vec<String> {
            let json = run.json();
            let all = json["endpoints"].as_array().unwrap();
            all.iter().map(|one| one["role"].as_str().unwrap_or("-").to_owned()).collect()
        };
        let deadline = support::run::deadline();
        while roles(&status())[3] != "learner" {
            assert!(Instant::now() < deadline, "{}", status());
            std::thread::sleep(Duration::from_millis(200));
        }
        let leader = roles(&status()).iter().position(|role| role == "leader").unwrap();
        let save = |more: &[&str]| {
            let out = home.path().join("out.db");
            let _ = fs::remove_file(&out);
            save(&endpoints.join(","), &out, &[&["-w", "json"], more].concat())
        };
        let run = save(&[]);
        assert_eq!(run.code, 0, "{version}: {run}");
        let asked = |run: &Run| {
            let from = run.json()["endpoint"].as_str().unwrap().to_owned();
            endpoints.iter().position(|endpoint| *endpoint == from).unwrap()
        };
        assert!(asked(&run) != leader && asked(&run) != 3, "{version}: {run}");
        // One follower is stopped: the other one is asked, and the stopped one is told.
        let followers: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
        all[followers[0]].kill();
        let run = save(&[]);
        assert_eq!((run.code, asked(&run)), (0, followers[1]), "{version}: {run}");
        assert!(run.json()["silent"][0].as_str().unwrap().contains("Connection refused"), "{run}");
        assert_eq!(status().code, 3, "{}", status());
        // Without a quorum what there is is saved, and said to be no more than that.
        all[leader].kill();
        let deadline = support::run::deadline();
        while roles(&status())[followers[1]] != "no leader" {
            assert!(Instant::now() < deadline, "{}", status());
            std::thread::sleep(Duration::from_millis(200));
        }
        let run = save(&[]);
        assert!(run.code == 0 && run.json()["confirmed"].is_null(), "{version}: {run}");
        assert_eq!(asked(&run), followers[1], "{version}: {run}");
    }
}

#[test]
fn of_members_one_of_which_lags_another_is_asked_and_that_one_by_name_says_what_it_may_lack() {
    if peers::find("etcd-3.6.14/etcd").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (mut all, _) = members("3.6.14", 3, home.path());
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    // On the ways between members, so that one can be left alone.
    let ways: Vec<Proxy> = all.iter().map(|m| Proxy::new(&url(m.peer), u64::MAX, || {})).collect();
    let of = |(member, way): (&Member, &Proxy)| format!("{}={}", member.name, way.endpoint);
    let cluster = all.iter().zip(&ways).map(of).collect::<Vec<_>>().join(",");
    let flags =
        |at: usize| ["--initial-cluster", &cluster, "--initial-advertise-peer-urls", &ways[at].endpoint];
    all.iter_mut().enumerate().for_each(|(at, member)| member.start(&flags(at)));
    all.iter_mut().for_each(Member::caught_up);
    let endpoints: Vec<String> = all.iter().map(|member| url(member.client)).collect();
    let roles = || -> Vec<String> {
        let json = coldbolt(["status", "--endpoints", &endpoints.join(","), "-w", "json"]).json();
        let all = json["endpoints"].as_array().unwrap();
        all.iter().map(|one| one["role"].as_str().unwrap_or("-").to_owned()).collect()
    };
    let leader = roles().iter().position(|role| role == "leader").unwrap();
    let [behind, good] = [1, 2].map(|step| (leader + step) % 3);
    let put = |member: &Member, keys: usize| {
        let mut client = member.client();
        for _ in 0..keys {
            let (code, answer) = client.post("kv/put", &json!({"key": "YQ==", "value": "Yg=="})).unwrap();
            assert_eq!(code, 200, "{answer}");
        }
    };
    let save = |endpoints: &str, form: &str| {
        let out = home.path().join("out.db");
        let _ = fs::remove_file(&out);
        save(endpoints, &out, &["-w", form, "--timeout", "2", "--retries", "0"])
    };
    // It is paused: the other follower is asked, and by name it does not answer.
    all[behind].signal(rustix::process::Signal::STOP);
    put(&all[leader], 3);
    let run = save(&endpoints.join(","), "json");
    assert_eq!((run.code, &run.json()["endpoint"]), (0, &json!(endpoints[good])), "{run}");
    assert!(run.json()["silent"][0].as_str().unwrap().contains("took longer than 2 s"), "{run}");
    let confirmed = run.json()["confirmed"].as_i64().unwrap();
    save(&endpoints[behind], "table").says(3, &[&endpoints[behind], "took longer than 2 s"]);
    // When it goes on nobody reaches it any more: it answers, and has not what the others have.
    ways[behind].close();
    ways.iter().for_each(Proxy::interrupt);
    all[leader].caught_up();
    put(&all[leader], 17);
    ways.iter().for_each(Proxy::close);
    all[behind].signal(rustix::process::Signal::CONT);
    let deadline = support::run::deadline();
    while roles()[behind] != "no leader" {
        assert!(Instant::now() < deadline, "{:?}", roles());
        std::thread::sleep(Duration::from_millis(200));
    }
    let run = save(&endpoints.join(","), "json");
    assert!(run.code == 0 && run.json()["endpoint"] != endpoints[behind], "{run}");
    assert_eq!(run.json()["confirmed"], confirmed + 17, "{run}");
    assert!(run.json()["why"].as_str().unwrap().starts_with("a follower, which spares the leader"), "{run}");
    save(&endpoints[behind], "table").shows(0, &["NO QUORUM WAS ASKED: it may lack what other members have"]);
    let run = save(&endpoints[behind], "json");
    assert!(run.json()["verification"]["measured"]["revision"].as_i64() < Some(confirmed + 17), "{run}");
}

/// A server with some megabytes, that are not written any more.
fn filled(version: &str) -> Option<Server> {
    let server = Server::start(version, &[])?;
    let value = "v".repeat(500_000);
    for key in 0..12 {
        server.ctl_stdin(&["put", &format!("big{key}")], value.as_bytes());
    }
    Some(server)
}

#[test]
fn a_stream_that_is_cut_leaves_no_file_and_another_way_is_taken_if_there_is_one() {
    for version in VERSIONS {
        let Some(server) = filled(version) else { return };
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out.db");
        for after in [0, 1, 100, 5000, 100_000, 3_000_000] {
            let proxy = Proxy::new(server.endpoint(), after, || {});
            let run = save(&proxy.endpoint, &out, &["--retries", "0"]);
            let why = if after < 1000 { "did not answer as etcd does" } else { "broke off" };
            run.says(3, &[&proxy.endpoint, why]);
            assert!(proxy.cut.load(Ordering::Relaxed) > 0);
            only(home.path(), &[]);
        }
        let proxy = Proxy::new(server.endpoint(), 3_000_000, || {});
        let run = save(&format!("{},{}", proxy.endpoint, server.endpoint()), &out, &[]);
        run.says(0, &["trying again", "the snapshot broke off after"]);
        coldbolt(args!["verify", out]).says(0, &[]);
    }
}

#[test]
fn a_server_that_is_killed_while_it_sends_leaves_no_file() {
    for version in VERSIONS {
        let Some(server) = filled(version) else { return };
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out.db");
        let endpoint = server.endpoint().to_owned();
        let server = std::sync::Arc::new(Mutex::new(server));
        let killed = std::sync::Arc::clone(&server);
        let proxy = Proxy::new(&endpoint, 1_000_000, move || drop(killed.lock().unwrap().kill()));
        save(&proxy.endpoint, &out, &["--retries", "1"]).says(3, &[&proxy.endpoint, "trying again"]);
        only(home.path(), &[]);
    }
}

#[test]
fn a_full_disk_and_a_signal_leave_no_file() {
    let Some(server) = filled("3.6.14") else { return };
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out.db");
    // No file may be longer than 2 MB.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4096 && exec \"$0\" \"$@\""]).arg(binary());
    limited.args(["save", "--endpoints", server.endpoint(), "-o", text(&out)]).stdin(Stdio::null());
    let run = run::run(limited);
    assert!(run.code == 3 && run.err.contains("out.db"), "{run}");
    assert!(!run.err.contains("trying again"), "another try has no more room: {run}");
    only(home.path(), &[]);
    // Held up by a way that lets no more through, and ended.
    let (wake, wait) = std::sync::mpsc::channel();
    let proxy = Proxy::new(server.endpoint(), 1_000_000, move || {
        let _ = wake.send(());
        std::thread::sleep(Duration::from_secs(60));
    });
    let child = command(["save", "--endpoints", &proxy.endpoint, "-o", text(&out), "--timeout", "60"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait.recv_timeout(Duration::from_secs(60)).unwrap();
    only(home.path(), &["out.db.partial"]);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = run::wait(child, "save");
    assert_eq!(ended.status.code(), Some(143));
    only(home.path(), &[]);
}

#[test]
fn what_is_saved_compressed_is_what_others_unpack_and_restore() {
    let Some(server) = Server::start("3.6.14", &[]) else { return };
    fill(&server, 20);
    let home = tempfile::tempdir().unwrap();
    let due = home.path().join("due.db");
    server.save(&due);
    for (how, program) in [("gzip", "gzip"), ("zstd", "zstd")] {
        let packed = home.path().join(how);
        save(server.endpoint(), &packed, &["--compress", how]).shows(0, &["compressed", how]);
        let unpacked = Command::new(program).arg("-dc").stdin(fs::File::open(&packed).unwrap()).output();
        let Ok(unpacked) = unpacked else {
            eprintln!("skipped: {program} is not here");
            continue;
        };
        let out = home.path().join(format!("{how}.db"));
        fs::write(&out, unpacked.stdout).unwrap();
        assert_eq!(told("3.6.14", &out), told("3.6.14", &due), "{how}");
    }
}

#[test]
fn what_is_saved_closed_opens_to_what_is_saved_in_the_clear_and_old_ones_go() {
    let Some(server) = Server::start("3.6.14", &[]) else { return };
    fill(&server, 20);
    let home = tempfile::tempdir().unwrap();
    let keys = support::age::KeyFiles::write(home.path());
    let dir: PathBuf = home.path().join("backups");
    fs::create_dir(&dir).unwrap();
    for _ in 0..3 {
        let more = ["--encrypt-to", &keys.of("recipients"), "--keep-last", "2"];
        save(server.endpoint(), &dir, &more).shows(0, &["age file"]);
        std::thread::sleep(Duration::from_millis(1100));
    }
    let names = || fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(names().count(), 4);
    for closed in names().filter(|path| path.extension().is_some_and(|extension| extension == "age")) {
        let opened = home.path().join("opened.db");
        coldbolt(args!["decrypt", closed, "-o", opened, "-i", keys.of("key")]).says(0, &[]);
        coldbolt(args!["verify", opened]).says(0, &[]);
        fs::remove_file(&opened).unwrap();
        coldbolt(args!["verify", closed]).says(4, &[]);
    }
}
