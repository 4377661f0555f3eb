//! What each command shows of a secret: the table in SECURITY.md, held against every command there is.

mod cluster;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::codec::checksum::{hex, sha256};
use support::{Input, Run, coldbolt};

use self::cluster::{CANARIES, Inputs, NEVER, NOT_SHOWN, OF_REQUESTS};
use self::runs::RUNS;

/// What a row of SECURITY.md says of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Never,
    WithFlag,
    Value,
}

fn table() -> BTreeMap<String, Shows> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    let (_, section) = text.split_once("## What each command shows of a secret\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let shows = match cells[1] {
            "Never" => Shows::Never,
            "Only with `--show-secrets`" => Shows::WithFlag,
            "Its point is the value" => Shows::Value,
            other => panic!("{row}: {other}"),
        };
        for name in cells[0].split(", ") {
            let name = name.trim_matches('`').to_owned();
            assert!(rows.insert(name.clone(), shows).is_none(), "{name} has two rows");
        }
    }
    rows
}

/// The commands that have none below them, by the listing in each one's help.
fn commands(above: &[String], into: &mut BTreeSet<String>) {
    let help = coldbolt([above, &["--help".to_owned()]].concat());
    let listed = help.text().split_once("\nCommands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap());
    let Some(listed) = listed else {
        into.insert(above.join(" "));
        return;
    };
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        commands(&[above, &[name.to_owned()]].concat(), into);
    }
}

/// How a canary may look: raw, in hexadecimal, in base64 behind bytes of any number; and its hash, with which a short
/// one is found by trying.
fn forms(canary: &str) -> Vec<String> {
    let raw = hex(canary.as_bytes());
    let mut all =
        vec![canary.to_owned(), raw.to_uppercase(), raw, hex(&sha256(canary.as_bytes()))[..16].to_owned()];
    for before in 0..3 {
        let text = BASE64_STANDARD.encode([&b"\0\0\0"[..before], canary.as_bytes()].concat());
        // What a neighbour has no part in.
        let inner = text[4..text.len() - 4].to_owned();
        all.extend([inner.replace('+', "-").replace('/', "_"), inner]);
    }
    all
}

/// Each canary with its forms, and those again in base64: what a Secret holds in base64 may be inside a value that is
/// printed so.
struct Search(Vec<(&'static str, Vec<String>)>);

impl Search {
    fn new() -> Search {
        let both = |canary| {
            let once = forms(canary);
            let twice =
                once.iter().filter(|form| form.len() > 16).flat_map(|form| forms(form)).collect::<Vec<_>>();
            (canary, [once, twice].concat())
        };
        Search(CANARIES.into_iter().map(both).collect())
    }

    fn shown(&self, bytes: &[u8]) -> Vec<&'static str> {
        let text = String::from_utf8_lossy(bytes);
        let found = self.0.iter().filter(|(_, forms)| forms.iter().any(|form| text.contains(form)));
        found.map(|(canary, _)| *canary).collect()
    }
}

/// Every file below a path.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    }
    fs::read_dir(path).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect()
}

/// Commands that write a copy of what they read, or what is to be restored: it is as secret as that, and no report.
const COPIES: [&str; 18] = [
    "copy",
    "replay",
    "restore",
    "snapshot restore",
    "defrag",
    "salvage",
    "seal",
    "unseal",
    "bolt surgery",
    "decrypt",
    "member add",
    "member remove",
    "member promote",
    "kube put",
    "kube delete",
    "kube bootstrap",
    "export",
    "kube extract",
];

/// One command line.
struct Line<'t> {
    /// The exit code that is due.
    code: i32,
    /// Nothing may be shown, although the command's row says that it shows values.
    closed: bool,
    name: &'t str,
    text: &'t str,
}

impl<'t> Line<'t> {
    fn parse(text: &'t str, table: &'t BTreeMap<String, Shows>) -> Line<'t> {
        let (code, text) = text.split_once(' ').unwrap();
        let closed = code.ends_with('-');
        let code = code.trim_end_matches('-').parse().unwrap_or_else(|_| panic!("{text}: {code}"));
        let is = |name: &&String| text == **name || text.starts_with(&format!("{name} "));
        let name = table.keys().find(is).unwrap_or_else(|| panic!("{text}: no row"));
        Line { code, closed, name, text }
    }

    fn run(&self, inputs: &Inputs, new: &Path, more: &[&str]) -> Said {
        let new = new.to_str().unwrap();
        let word = |word: &str| {
            let name = inputs.path(word).map(str::to_owned);
            name.unwrap_or_else(|| {
                if word.starts_with("NEW") { word.replacen("NEW", new, 1) } else { word.to_owned() }
            })
        };
        let args: Vec<String> =
            self.text.split(' ').map(word).chain(more.iter().map(|s| (*s).to_owned())).collect();
        let run = coldbolt(&args);
        let mut bytes = [&run.out, run.err.as_bytes()].concat();
        let (dir, base) = new.rsplit_once('/').unwrap();
        for path in files(Path::new(dir)) {
            let rest = path.strip_prefix(dir).unwrap().to_str().unwrap().strip_prefix(base);
            // Beside a copy there are reports and manifests.
            let copy = |rest: &str| {
                COPIES.iter().any(|name| self.name.starts_with(name))
                    && (rest.is_empty() || rest.starts_with('/'))
            };
            if rest.is_some_and(|rest| !copy(rest)) {
                bytes.extend(fs::read(path).unwrap());
            }
        }
        Said { run, bytes }
    }
}

struct Said {
    run: Run,
    /// All that it printed and wrote.
    bytes: Vec<u8>,
}

/// What was seen of a command: without a flag, and with it.
#[derive(Default)]
struct Seen {
    plain: bool,
    flag: bool,
    with_keys: bool,
}

/// What is wrong with the runs of all commands.
struct Runs<'t> {
    table: &'t BTreeMap<String, Shows>,
    search: Search,
    seen: BTreeMap<&'t str, Seen>,
    /// All that was shown where it may be.
    shown: BTreeSet<&'static str>,
    wrong: Vec<String>,
}

impl<'t> Runs<'t> {
    fn of(table: &'t BTreeMap<String, Shows>) -> Runs<'t> {
        Runs {
            table,
            search: Search::new(),
            seen: BTreeMap::new(),
            shown: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Runs a line, in a directory of its own, without and with the flag that shows secrets.
    fn line(&mut self, line: &Line<'t>, inputs: &Inputs) {
        let shows = self.table[line.name];
        for asked in [false, true] {
            if asked && shows != Shows::WithFlag {
                continue;
            }
            let temp = tempfile::tempdir().unwrap();
            let flag: &[&str] = if asked { &["--show-secrets"] } else { &[] };
            // Another program's name has that program's flags.
            let progress: &[&str] = if line.name == "as" { &[] } else { &["--progress", "json"] };
            let said = line.run(inputs, &temp.path().join("new"), &[progress, flag].concat());
            if said.run.code != line.code {
                self.wrong.push(format!("{}: {} is due: {}", line.text, line.code, said.run));
            }
            let found = self.search.shown(&said.bytes);
            let seen = self.seen.entry(line.name).or_default();
            seen.with_keys |= line.text.contains("--encryption-config KEYS");
            *(if asked { &mut seen.flag } else { &mut seen.plain }) |= !found.is_empty();
            let asked = asked || line.text.contains("--show-secrets");
            let open = asked || (shows == Shows::Value && !line.closed);
            let may = |canary: &&&str| {
                let of_log = line.name != "wal dump" || asked || !OF_REQUESTS.contains(*canary);
                open && of_log && !NEVER.contains(*canary)
            };
            let (may, not): (Vec<&str>, Vec<&str>) = found.iter().partition(may);
            self.shown.extend(may);
            if !not.is_empty() {
                self.wrong.push(format!("{}: shows {not:?} {flag:?}", line.text));
            }
        }
    }

    /// Every command is run, and shows what its row says.
    fn against_the_table(&mut self) {
        for (name, shows) in self.table {
            match (shows, self.seen.get(&**name)) {
                (_, None) => self.wrong.push(format!("{name} is not run")),
                (Shows::Value, Some(Seen { plain: false, .. })) => {
                    self.wrong.push(format!("{name} shows no value"))
                }
                (Shows::WithFlag, Some(Seen { flag: false, .. })) => {
                    self.wrong.push(format!("{name} --show-secrets shows no secret"))
                }
                (_, Some(Seen { with_keys: false, .. })) if takes_keys(name) => {
                    self.wrong.push(format!("{name} is not run with keys"))
                }
                _ => {}
            }
        }
        // A canary that no command shows may not be where it is thought to be.
        let lost = |canary: &&&str| !self.shown.contains(*canary) && !NOT_SHOWN.contains(*canary);
        let lost: Vec<_> = CANARIES.iter().filter(lost).collect();
        assert!(lost.is_empty(), "nobody shows {lost:?}");
    }
}

/// Whether a command opens encrypted values.
fn takes_keys(name: &str) -> bool {
    let help = coldbolt(name.split(' ').chain(["--help"]));
    help.text().contains("--encryption-config")
}

#[test]
fn every_command_shows_of_a_secret_what_its_row_says_and_no_command_lacks_one() {
    let table = table();
    let mut listed = BTreeSet::new();
    commands(&[], &mut listed);
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), listed, "rows of SECURITY.md, and commands");
    let temp = tempfile::tempdir().unwrap();
    let inputs = Inputs::write(temp.path());
    let mut runs = Runs::of(&table);
    for line in RUNS.lines().flat_map(|line| line.split('|')).filter(|line| !line.is_empty()) {
        runs.line(&Line::parse(line, &table), &inputs);
    }
    runs.against_the_table();
    assert!(runs.wrong.is_empty(), "{}", runs.wrong.join("\n"));
    inputs.unchanged();
}

#[test]
fn whatever_is_wrong_with_a_file_of_keys_the_error_is_a_place_in_it_and_no_word_of_it() {
    let temp = tempfile::tempdir().unwrap();
    let inputs = Inputs::write(temp.path());
    let search = Search::new();
    for name in inputs.bad_keys() {
        let flag = if name.starts_with("BADLINES") { "--kms-key" } else { "--encryption-config" };
        for command in ["get DB /registry --prefix", "kube get DB secrets -A", "verify DB --level objects"] {
            let file = inputs.path(&name).unwrap();
            let words = command.split(' ').map(|word| inputs.path(word).unwrap_or(word));
            let run = coldbolt(words.chain([flag, file]));
            let said = search.shown(&[&run.out, run.err.as_bytes()].concat());
            assert!(run.code == 3 && said.is_empty() && run.err.contains(file), "{name}: {said:?} {run}");
        }
    }
    inputs.unchanged();
}

#[test]
fn history_hashes_a_secret_with_a_key_of_the_run_and_anything_else_or_on_demand_without_one() {
    let temp = tempfile::tempdir().unwrap();
    let (bytes, keys) = cluster::database();
    let db = Input::write(temp.path(), "a.db", &bytes);
    let hash = |key: &str, more: &[&str]| {
        let run = coldbolt([&["history", db.name(), key, "-w", "json"], more].concat());
        run.json()["versions"].as_array().unwrap().last().unwrap()["value_sha256"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let plain = |key: &str| {
        let (_, value) = keys.iter().find(|(name, _)| name == key).unwrap();
        sha256(value).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    for secret in ["/registry/secrets/n/opaque", "/registry/secrets/n/wrong", "/registry/secrets/n/broken"] {
        let one = hash(secret, &[]);
        assert!(one != plain(secret) && one != hash(secret, &[]), "{secret}");
        assert_eq!(hash(secret, &["--plain-hashes"]), plain(secret), "{secret}");
        let simple = coldbolt(["history", db.name(), secret]);
        assert!(!simple.text().contains(&plain(secret)[..16]), "{simple}");
    }
    let map = "/registry/configmaps/n/map";
    assert_eq!(hash(map, &[]), plain(map));
    db.unchanged();
}
