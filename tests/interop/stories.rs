//! Directories of random pasts: made by a server, by etcd's restore or by ours, upgraded, gone back, members come and
//! gone, promoted, moved, forced to a new cluster, killed under load. What the real server makes of a copy of such a
//! directory is the truth about it; copies, directories, restores, replays and ranks made of it must say and serve
//! the same.
//!
//! ```text
//! COLDBOLT_STORIES=100 cargo test --test interop stories::     # two by default; each story's seed is printed
//! COLDBOLT_SEED=N cargo test --test interop stories::          # one again
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Member, members};
use support::history::{Rng, Seed, number};
use support::{Run, VERSIONS, coldbolt, peers};

/// What a server serves: each live key with its value, its revisions and its lease, and the revision of the store.
#[derive(Debug, PartialEq)]
struct Served {
    keys: Vec<Value>,
    revision: i64,
}

impl Served {
    fn by(member: &Member) -> Served {
        let all = json!({"key": "AA==", "range_end": "AA=="});
        let (status, answer) = member.client().post("kv/range", &all).unwrap();
        assert_eq!(status, 200, "{answer}");
        let keys = answer["kvs"].as_array().cloned().unwrap_or_default();
        Served { keys, revision: number(&answer["header"]["revision"]) }
    }

    /// What is there of both once more was written: what has gone since, or is newer, is left out.
    fn up_to(&self, revision: i64, of: &Served) -> Served {
        let still = |kv: &&Value| {
            let key = |other: &&Value| other["key"] == kv["key"];
            number(&kv["mod_revision"]) <= revision
                && of.keys.iter().find(key).is_some_and(|kv| number(&kv["mod_revision"]) <= revision)
        };
        Served { keys: self.keys.iter().filter(still).cloned().collect(), revision }
    }

    /// The difference, short.
    fn unlike(&self, other: &Served) -> Option<String> {
        if self == other {
            return None;
        }
        let missing: Vec<_> = self.keys.iter().filter(|kv| !other.keys.contains(kv)).take(3).collect();
        let more: Vec<_> = other.keys.iter().filter(|kv| !self.keys.contains(kv)).take(3).collect();
        Some(format!(
            "revision {} and {} keys, due {} and {}; missing {missing:?}, more {more:?}",
            other.revision,
            other.keys.len(),
            self.revision,
            self.keys.len()
        ))
    }
}

/// A cluster and what happened to it.
struct Story {
    rng: Rng,
    home: PathBuf,
    members: Vec<Member>,
    /// How many were there so far.
    born: usize,
    /// Who of them only learns: nothing goes on from a learner's directory alone.
    learners: Vec<String>,
    /// Who of them is reached as `localhost`.
    moved: Vec<String>,
    /// What happened, in words.
    told: Vec<String>,
}

impl Story {
    fn version(&self) -> &str {
        &self.members[0].version
    }

    /// As `--initial-cluster` has it, by the URLs that the members know one another by.
    fn cluster(&self) -> String {
        let url = |m: &Member| {
            let host = if self.moved.contains(&m.name) { "localhost" } else { "127.0.0.1" };
            format!("{}=http://{host}:{}", m.name, m.peer)
        };
        self.members.iter().map(url).collect::<Vec<_>>().join(",")
    }

    fn start(&mut self) -> Result<(), String> {
        // Whether much of the log is ahead of the database, and of the snapshots, when it is killed.
        let batch = ["100ms", "100s"][usize::from(self.rng.between(0, 2) > 0)];
        let count = ["5", "23", "10000"][usize::try_from(self.rng.between(0, 2)).unwrap()];
        let cluster = self.cluster();
        let flags =
            ["--backend-batch-interval", batch, "--snapshot-count", count, "--initial-cluster", &cluster];
        self.members.iter_mut().for_each(|member| member.start(&flags));
        self.members.iter_mut().try_for_each(Member::comes_up)
    }

    /// Begins with a cluster of one or three, new or restored.
    fn begin(seed: u64, home: &Path) -> Story {
        let mut rng = Rng::of(seed);
        let version = VERSIONS[usize::try_from(rng.between(0, 3)).unwrap()];
        let count = if rng.between(0, 2) == 0 { 3 } else { 1 };
        let (all, cluster) = members(version, count, home);
        let from = support::fixture(&format!("etcd-{version}/snapshot.db"));
        let origin = rng.between(0, 2);
        for member in all.iter().filter(|_| origin > 0) {
            fs::create_dir_all(&member.home).unwrap();
            let tool = if version == "3.4.23" { "etcdctl" } else { "etcdutl" };
            let tool = peers::find(&format!("etcd-{version}/{tool}")).unwrap();
            let mut command = if origin == 1 {
                peers::command(&tool, &member.home)
            } else {
                let mut command = Command::new(support::binary());
                command.current_dir(&member.home);
                command
            };
            let command = command
                .env("ETCDCTL_API", "3")
                .args(["snapshot", "restore", from.to_str().unwrap(), "--data-dir", "data"])
                .args(["--name", &member.name, "--initial-cluster", &cluster])
                .args(["--initial-advertise-peer-urls", &format!("http://127.0.0.1:{}", member.peer)]);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let how = ["new", "restored by etcd", "restored by coldbolt"][usize::try_from(origin).unwrap()];
        let told = vec![format!("{version}, {count} members, {how}")];
        Story {
            rng,
            home: home.to_owned(),
            members: all,
            born: count,
            learners: Vec::new(),
            moved: Vec::new(),
            told,
        }
    }

    /// Something happens; an error ends the story of a cluster that etcd itself cannot go on with.
    fn step(&mut self) -> Result<(), String> {
        match self.rng.between(0, 8) {
            0 => self.killed(),
            1 | 2 => self.another_version(1),
            3 => self.another_version(-1),
            4 => self.learner(),
            5 => self.replaced(),
            6 => self.moved(),
            7 if self.rng.between(0, 1) == 0 => self.forced(),
            _ => Ok(()),
        }?;
        self.load()
    }

    fn load(&mut self) -> Result<(), String> {
        let mut client = self.members[0].client();
        for _ in 0..self.rng.between(3, 40) {
            let key = format!("L2sv{:04}", self.rng.between(0, 12));
            let (path, body) = match self.rng.between(0, 19) {
                0 => ("kv/deleterange", json!({"key": key})),
                1 => ("kv/deleterange", json!({"key": key, "range_end": "L2sv0006"})),
                2 => ("lease/grant", json!({"TTL": 100_000})),
                3 => ("kv/compaction", {
                    let revision = Served::by(&self.members[0]).revision;
                    json!({"revision": (revision - self.rng.between(0, 5)).max(1)})
                }),
                4 => (
                    "kv/txn",
                    json!({"success": [
                        {"request_put": {"key": key, "value": "AAAA"}},
                        {"request_put": {"key": "L2svdHhu", "value": "AQEB"}},
                    ]}),
                ),
                n => {
                    ("kv/put", json!({"key": key, "value": format!("{n:04}{:04}", self.rng.between(0, 999))}))
                }
            };
            client.post(path, &body).map_err(|e| format!("{path}: {e}"))?;
        }
        Ok(())
    }

    fn killed(&mut self) -> Result<(), String> {
        self.told.push("killed and started".into());
        self.members.iter_mut().for_each(Member::kill);
        self.start()
    }

    fn another_version(&mut self, by: isize) -> Result<(), String> {
        let at = VERSIONS.iter().position(|v| *v == self.version()).unwrap();
        let Some(next) = at.checked_add_signed(by).and_then(|at| VERSIONS.get(at)) else { return Ok(()) };
        if by < 0 {
            if !matches!(self.version(), "3.6.14" | "3.7.1") {
                return Ok(());
            }
            self.downgraded(&next[..3])?;
        }
        self.told.push(format!("goes on as {next}"));
        for member in &mut self.members {
            member.stop();
            member.version = (*next).to_owned();
        }
        self.start()
    }

    /// Has the cluster prepare for an older version.
    fn downgraded(&mut self, to: &str) -> Result<(), String> {
        let mut client = self.members[0].client();
        let enable = json!({"action": "ENABLE", "version": to});
        let (status, answer) = client.post("maintenance/downgrade", &enable).map_err(|e| e.to_string())?;
        if status != 200 {
            return Err(format!("no downgrade: {answer}"));
        }
        let deadline = support::run::deadline();
        for member in &self.members {
            let ready = |(_, status): (u16, Value)| {
                status["storageVersion"].as_str().is_some_and(|v| v.starts_with(to))
            };
            while !member.client().post("maintenance/status", &json!({})).is_ok_and(ready) {
                if Instant::now() > deadline {
                    return Err("the storage version does not go down".into());
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }

    /// A member joins that learns, and is mostly promoted.
    fn learner(&mut self) -> Result<(), String> {
        if self.members.len() > 3 {
            return Ok(());
        }
        let (mut new, _) = members(self.version(), 1, &self.home);
        let mut new = new.remove(0);
        new.name = format!("m{}", self.born);
        new.home = self.home.join(&new.name);
        let mut client = self.members[0].client();
        let add = json!({"peerURLs": [format!("http://127.0.0.1:{}", new.peer)], "isLearner": true});
        let (status, answer) = client.member("add", &add).map_err(|e| e.to_string())?;
        if status != 200 {
            // It has a learner already.
            return Ok(());
        }
        self.born += 1;
        self.members.push(new);
        let cluster = self.cluster();
        let new = self.members.last_mut().unwrap();
        self.told.push(format!("{} joins as a learner", new.name));
        self.learners.push(new.name.clone());
        new.start(&["--initial-cluster", &cluster, "--initial-cluster-state", "existing"]);
        new.comes_up()?;
        if self.rng.between(0, 3) == 0 {
            return Ok(());
        }
        let promote = json!({"ID": answer["member"]["ID"]});
        let deadline = support::run::deadline();
        while !matches!(client.post("cluster/member/promote", &promote), Ok((200, _))) {
            if Instant::now() > deadline {
                return Err("the learner is not promoted".into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.told.push("and is promoted".into());
        self.learners.pop();
        self.members.iter_mut().try_for_each(Member::comes_up)
    }

    /// The last of several is removed, and another joins.
    fn replaced(&mut self) -> Result<(), String> {
        if self.members.len() < 3 {
            return Ok(());
        }
        let gone = self.members.pop().unwrap();
        self.learners.retain(|name| *name != gone.name);
        let id = listed(&self.members[0]).into_iter().find(|(_, m)| m["name"] == gone.name.as_str());
        let Some((_, id)) = id else { return Err("a member without its name".into()) };
        let mut client = self.members[0].client();
        let (status, answer) =
            client.member("remove", &json!({"ID": id["ID"]})).map_err(|e| e.to_string())?;
        if status != 200 {
            return Err(format!("not removed: {answer}"));
        }
        self.told.push(format!("{} is removed", gone.name));
        self.learner()
    }

    /// A member is reached by another URL, which leads to the same place.
    fn moved(&mut self) -> Result<(), String> {
        let at = usize::try_from(self.rng.between(0, 9)).unwrap() % self.members.len();
        let (name, peer) = (self.members[at].name.clone(), self.members[at].peer);
        let Some((_, member)) =
            listed(&self.members[0]).into_iter().find(|(_, m)| m["name"] == name.as_str())
        else {
            return Ok(());
        };
        let update = json!({"ID": member["ID"], "peerURLs": [format!("http://localhost:{peer}")]});
        self.members[0].client().member("update", &update).map_err(|e| e.to_string())?;
        self.told.push(format!("{name} moves"));
        self.moved.push(name);
        self.members.iter_mut().try_for_each(Member::comes_up)
    }

    /// One member goes on alone, as etcd's own way out of a lost quorum has it.
    fn forced(&mut self) -> Result<(), String> {
        self.told.push("forced to a new cluster".into());
        self.members.iter_mut().for_each(Member::kill);
        self.members.truncate(1);
        self.learners.clear();
        self.members[0].start(&["--force-new-cluster"]);
        self.members[0].comes_up()?;
        self.members[0].stop();
        self.start()
    }
}

/// The members by their ids in hex, as the server lists them.
fn listed(member: &Member) -> Vec<(String, Value)> {
    let (_, answer) = member.client().post("cluster/member/list", &json!({})).unwrap();
    let id = |m: &Value| format!("{:x}", m["ID"].as_str().unwrap().parse::<u64>().unwrap());
    answer["members"].as_array().unwrap().iter().map(|m| (id(m), m.clone())).collect()
}

/// A server of its own on that directory, which it may change.
fn on(data: &Path, version: &str, home: &Path, flags: &[&str]) -> Result<Member, String> {
    let (mut all, _) = members(version, 1, home);
    let mut member = all.remove(0);
    member.home = data.parent().unwrap().to_owned();
    assert_eq!(data, member.data());
    member.start(flags);
    member.comes_up().map(|()| member)
}

/// A place for a directory `data`, not there yet.
fn place(home: &Path, name: &str) -> PathBuf {
    let place = home.join(name);
    fs::create_dir(&place).unwrap();
    place.join("data")
}

/// What was found about one directory.
struct Judged<'s> {
    version: &'s str,
    home: &'s Path,
    data: &'s Path,
    truth: Served,
    wrong: Vec<String>,
}

impl Judged<'_> {
    fn run(&self, args: &[&str]) -> Run {
        coldbolt([args, &["--etcd-version", self.version]].concat())
    }

    fn wrong(&mut self, what: &str, why: impl std::fmt::Display) {
        self.wrong.push(format!("{what}: {why}"));
    }

    /// What a server serves from a directory that we made.
    fn serves(&mut self, what: &str, data: &Path, flags: &[&str]) -> Option<Member> {
        match on(data, self.version, self.home, flags) {
            Ok(member) => {
                if let Some(unlike) = self.truth.unlike(&Served::by(&member)) {
                    self.wrong(what, unlike);
                }
                Some(member)
            }
            Err(why) => {
                self.wrong(what, why);
                None
            }
        }
    }

    fn made(&mut self, what: &str, args: &[&str]) -> bool {
        let run = self.run(args);
        if run.code != 0 {
            self.wrong(what, &run);
        }
        run.code == 0
    }

    fn restored(&mut self, what: &str, from: &Path) {
        let new = place(self.home, &format!("{what}-restored"));
        let run = coldbolt(["restore", from.to_str().unwrap(), "--data-dir", new.to_str().unwrap()]);
        if run.code == 0 {
            self.serves(what, &new, &[]);
        } else {
            self.wrong(what, &run);
        }
    }

    fn copies(&mut self, sole: bool) {
        let data = self.data.to_str().unwrap();
        let copy = self.home.join("copy.db");
        if self.made("copy", &["copy", data, copy.to_str().unwrap()]) {
            self.restored("copy", &copy);
        }
        let new = place(self.home, "as-data-dir");
        if self.made("copy --as data-dir", &["copy", data, new.to_str().unwrap(), "--as", "data-dir"]) {
            let flags: &[&str] = if sole { &[] } else { &["--force-new-cluster"] };
            self.serves("copy --as data-dir", &new, flags);
        }
    }

    fn replayed(&mut self) {
        let data = self.data.to_str().unwrap();
        let (base, new) = (self.home.join("base.db"), self.home.join("replayed.db"));
        let (base, to) = (base.to_str().unwrap(), new.to_str().unwrap());
        let revision = self.truth.revision.to_string();
        if self.made("copy --no-wal", &["copy", data, base, "--no-wal"])
            && self.made("replay", &["replay", data, "--base", base, "--to-revision", &revision, "-o", to])
        {
            self.restored("replay", &new);
        }
    }
}

/// How a story went.
enum End {
    /// etcd itself did not go on with what it had; nothing was asked of us.
    EtcdsOwn(String),
    Judged(Vec<String>),
}

fn story(seed: u64) -> (Vec<String>, End) {
    let home = tempfile::tempdir().unwrap();
    let mut story = Story::begin(seed, home.path());
    let steps = story.rng.between(1, 4);
    let lived =
        story.start().and_then(|()| story.load()).and_then(|()| (0..steps).try_for_each(|_| story.step()));
    let lived = lived.map(|()| story.members.iter_mut().for_each(Member::kill));
    let end = match lived {
        Err(why) => End::EtcdsOwn(why),
        Ok(()) => judge(&mut story),
    };
    (story.told, end)
}

fn judge(story: &mut Story) -> End {
    let voters: Vec<usize> =
        (0..story.members.len()).filter(|at| !story.learners.contains(&story.members[*at].name)).collect();
    let at = voters[usize::try_from(story.rng.between(0, 9)).unwrap() % voters.len()];
    let (version, home) = (story.version().to_owned(), story.home.clone());
    let data = story.members[at].data();
    let sole = voters.len() == 1;
    let truth = place(&home, "truth");
    let copied = Command::new("cp").args(["-a", "--sparse=always"]).arg(&data).arg(&truth).status().unwrap();
    assert!(copied.success());
    let flags: &[&str] = if sole { &[] } else { &["--force-new-cluster"] };
    let truth = match on(&truth, &version, &home, flags) {
        Ok(member) => Served::by(&member),
        Err(why) => return End::EtcdsOwn(format!("the killed directory: {why}")),
    };
    story.told.push(format!("killed; {} is judged: revision {}", story.members[at].name, truth.revision));
    let mut judged = Judged { version: &version, home: &home, data: &data, truth, wrong: Vec::new() };
    let verified = coldbolt(["verify", data.to_str().unwrap()]);
    if verified.code != 0 {
        judged.wrong("verify", &verified);
    }
    judged.copies(sole);
    judged.replayed();
    let (own, with_all) = ranks(story.members.iter().map(Member::data).collect(), at, &mut judged);
    if story.members.len() > 1 {
        removes(&own, with_all, &mut judged);
    }
    End::Judged(judged.wrong)
}

/// Ranking them all says of this one what it serves; its id, and its revision with all of its log.
fn ranks(all: Vec<PathBuf>, at: usize, judged: &mut Judged<'_>) -> (String, i64) {
    let paths: Vec<&str> = all.iter().map(|path| path.to_str().unwrap()).collect();
    let run = judged.run(&[&["rank", "-w", "json"], &paths[..]].concat());
    let answer: Value = serde_json::from_str(run.text()).unwrap_or_default();
    let of_it = |m: &&Value| m["directory"].as_str() == Some(paths[at]);
    let ours = answer["members"].as_array().into_iter().flatten().find(of_it).cloned().unwrap_or_default();
    let (revision, due) = (ours["revision"].as_i64(), judged.truth.revision);
    // What the others know to be committed counts too: it may be more than this one alone knows.
    if revision.is_none_or(|revision| revision < due || all.len() == 1 && revision != due) {
        judged.wrong("rank", format!("revision {revision:?}, due {due}: {run}"));
    }
    (ours["member"].as_str().unwrap_or_default().to_owned(), number(&ours["revision_with_all"]))
}

/// The others are removed: this one serves alone, and takes writes.
fn removes(own: &str, with_all: i64, judged: &mut Judged<'_>) {
    let data = judged.data.to_str().unwrap();
    let run = judged.run(&["member", "list", "--data-dir", data, "-w", "json"]);
    let answer: Value = serde_json::from_str(run.text()).unwrap_or_default();
    let others = answer["members"].as_array().into_iter().flatten();
    let others: Vec<&str> = others.filter_map(|m| m["id"].as_str()).filter(|id| *id != own).collect();
    if others.is_empty() {
        return judged.wrong("member list", &run);
    }
    let new = place(judged.home, "alone");
    let out = ["--data-dir", data, "-o", new.to_str().unwrap()];
    let args = [&["member", "remove"], &others[..], &out].concat();
    let run = judged.run(&args);
    if run.code != 0 {
        return judged.wrong("member remove", &run);
    }
    // The last entries of its log, which it did not know to be committed, stay: they may have been acknowledged. To be
    // forced to a new cluster throws them away.
    let member = on(&new, judged.version, judged.home, &[]);
    if let Ok(member) = &member {
        let (served, due) = (Served::by(member), judged.truth.revision);
        let (ours, truth) = (served.up_to(due, &judged.truth), judged.truth.up_to(due, &served));
        match truth.unlike(&ours) {
            _ if served.revision != with_all => {
                judged.wrong("member remove", format!("revision {}, rank says {with_all}", served.revision));
            }
            Some(unlike) => judged.wrong("member remove", unlike),
            None => {}
        }
        let put = member.client().post("kv/put", &json!({"key": "AAAA", "value": "AAAA"}));
        if !matches!(put, Ok((200, _))) {
            judged.wrong("member remove", format!("{put:?}"));
        }
    }
    if let Err(why) = member {
        judged.wrong("member remove", why);
    }
}

/// The line of a server's log that says why it ended.
fn reason(log: &str) -> &str {
    let says = |line: &&str| ["panic", "fatal", "error"].iter().any(|word| line.contains(word));
    let line = log.lines().find(|line| line.contains("panic")).or_else(|| log.lines().rfind(says));
    let line = line.or_else(|| log.lines().last()).unwrap_or_default();
    line.get(..400).unwrap_or(line)
}

#[test]
fn a_directory_of_any_past_is_served_as_the_server_itself_would() {
    if VERSIONS.into_iter().any(|version| peers::find(&format!("etcd-{version}/etcd")).is_none()) {
        return;
    }
    let count: u64 =
        std::env::var("COLDBOLT_STORIES").map_or(2, |n| n.parse().expect("COLDBOLT_STORIES is a number"));
    let (mut own, mut wrong) = (0, Vec::new());
    let first = Seed::draw();
    for nth in 0..count {
        let seed = first.nth(nth);
        let (told, end) = story(seed.0);
        let how = match end {
            End::EtcdsOwn(why) => {
                own += 1;
                format!("etcd's own: {}", reason(&why))
            }
            End::Judged(found) if found.is_empty() => "the same".into(),
            End::Judged(found) => {
                wrong.push(format!("COLDBOLT_SEED={}: {}\n{}", seed.0, told.join("; "), found.join("\n")));
                format!("DIFFERS: {}", found.join("\n"))
            }
        };
        println!("{nth}: seed {}: {}: {how}", seed.0, told.join("; "));
    }
    println!("{count} stories, {own} that etcd itself did not go on with, {} that differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(own < count || count == 0, "not one story was judged");
}
