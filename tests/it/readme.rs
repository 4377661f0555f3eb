//! The README and the help say what is so: each command that they show is run as it stands, and what it prints is what
//! is shown. Where a command names what no one has, something stands in for it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::age::KeyFiles;
use support::fake_etcd::{Fake, sent};
use support::trio::{IDS, one};
use support::{args, binary, coldbolt, fixture, unpack};

use crate::replay_time::{history, lease};

const README: &str = include_str!("../../README.md");

/// Members' ids in the README, and those of who stands in for them.
const MEMBERS: [(&str, &str); 2] =
    [("91bc3c398fb3c146", "0000000000000007"), ("fd422379fda50e48", "0000000000000008")];

/// A machine's files, so far as the README names them.
pub struct Machine {
    temp: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let temp = tempfile::tempdir().unwrap();
        let machine = Machine { temp };
        for dir in
            ["etc/kubernetes/manifests", "etc/bash_completion.d", "var/lib", "root", "home", "bin", "tmp"]
        {
            fs::create_dir_all(machine.path(dir)).unwrap();
        }
        std::os::unix::fs::symlink(fixture(""), machine.path("home/fixtures")).unwrap();
        std::os::unix::fs::symlink(binary(), machine.path("bin/coldbolt")).unwrap();
        machine
    }

    /// A control plane whose etcd was stopped, with a backup that is older than its data.
    pub fn stopped() -> Machine {
        let machine = Machine::new();
        fs::rename(unpack("3.5.1", "cold", &machine.path("home")), machine.path("var/lib/etcd")).unwrap();
        machine.manifest("cp1", "etc/kubernetes/manifests/etcd.yaml");
        fs::write(machine.path("etc/kubernetes/manifests/kube-apiserver.yaml"), "").unwrap();
        machine.manifest("cp3", "home/cp3.yaml");
        fs::copy(fixture("etcd-3.5.1/snapshot.db"), machine.path("home/backup.db")).unwrap();
        machine
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    /// The manifest of a node, whose directories on the host are this machine's.
    fn manifest(&self, node: &str, to: &str) {
        let text = fs::read_to_string(fixture(&format!("kubeadm/{node}.yaml"))).unwrap();
        let host = format!("path: {}/var/lib/etcd", self.temp.path().display());
        fs::write(self.path(to), text.replace("path: /var/lib/etcd", &host)).unwrap();
    }

    /// Runs a command, and gives what it printed in the README's names, and its exit code.
    fn run(&self, command: &str) -> (String, i32) {
        let root = self.temp.path().display().to_string();
        let here = ["/etc/", "/var/", "/root/", "/backups", "/mnt/"]
            .iter()
            .fold(command.to_owned(), |command, dir| {
                command.replace(&format!(" {dir}"), &format!(" {root}{dir}"))
            });
        let here = MEMBERS.iter().fold(here, |command, (shown, real)| command.replace(shown, real));
        let output = Command::new("/bin/sh")
            .args(["-ec", &format!("exec 2>&1\n{here}")])
            .current_dir(self.path("home"))
            .env("PATH", format!("{root}/bin:/usr/bin:/bin"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap().replace(&root, "");
        let text = MEMBERS.iter().fold(text, |text, (shown, real)| text.replace(real, shown));
        (text, output.status.code().unwrap())
    }
}

/// The commands of a section, each with the answer that is shown. A line `...` stands for any number of lines.
fn commands(section: &str) -> Vec<(String, String)> {
    let heading = format!("\n### {section}\n");
    let text = README.split(&heading).nth(1).unwrap_or_else(|| panic!("no section {section}"));
    let text = text.split("\n### ").next().unwrap().split("\n## ").next().unwrap();
    let mut found: Vec<(String, String)> = Vec::new();
    let mut shown = false;
    for line in text.lines() {
        let Some(line) = line.strip_prefix("    ").or_else(|| Some(line).filter(|line| line.is_empty()))
        else {
            shown = false;
            continue;
        };
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => {
                found.push((command.to_owned(), String::new()));
                shown = true;
            }
            (None, Some((command, answer))) if shown => {
                if answer.is_empty() && command.ends_with('\\') {
                    command.push('\n');
                    command.push_str(line);
                } else {
                    answer.push_str(line);
                    answer.push('\n');
                }
            }
            _ => {}
        }
    }
    found
}

fn shows(shown: &str, real: &str) -> bool {
    fn squeeze(text: &str) -> Vec<&str> {
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
    }
    let (shown, real) = (squeeze(shown), squeeze(real));
    let mut at = 0;
    let mut skip = false;
    for line in &shown {
        if *line == "..." {
            skip = true;
            continue;
        }
        let Some(found) =
            real[at..].iter().position(|there| *there == *line).filter(|found| skip || *found == 0)
        else {
            return false;
        };
        at += found + 1;
        skip = false;
    }
    skip || at == real.len()
}

/// Runs the commands of a section, one after the other; each prints what is shown, if something is. Gives how many.
pub fn check(machine: &Machine, section: &str) -> usize {
    let (count, wrong) = differences(machine, section);
    assert!(wrong.is_empty(), "{wrong}");
    count
}

fn differences(machine: &Machine, section: &str) -> (usize, String) {
    let commands = commands(section);
    let mut wrong = String::new();
    for (command, shown) in &commands {
        let (real, code) = machine.run(command);
        let failed =
            shown.contains("Error: ") || command.contains("-w parquet") && !cfg!(feature = "parquet");
        if (code != 0) != failed || (!shown.trim().is_empty() && !shows(shown, &real)) {
            wrong.push_str(&format!("$ {command}\n{real}exit code {code}; the README shows:\n{shown}\n"));
        }
    }
    (commands.len(), wrong)
}

/// What stands in for what the section names.
fn stand_ins(machine: &Machine, section: &str) {
    let home = machine.path("home");
    match section {
        "What was in it, when, and what changed?" => {
            fs::rename(unpack("3.7.1", "cold", &home), machine.path("var/lib/etcd")).unwrap();
        }
        "A stopped or crashed member is the backup" => {
            let member = history(lease);
            member.files().write(&home.join("s1/data"));
            let db = home.join("s1/data/member/snap/db");
            coldbolt(args!["seal", db, "-o", home.join("yesterday.db")]).says(0, &[]);
        }
        "Which member is the one to recover from?" | "Two of three members are lost" => {
            let members = [(IDS[0], 22, 22), (IDS[1], 24, 22), (IDS[2], 24, 23)];
            for (at, (id, last, commit)) in (1..).zip(members) {
                one(id, last, commit).files().write(&home.join(format!("m{at}/data")));
            }
        }
        "What does that finding mean?" => {
            let bytes = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
            fs::write(home.join("damaged.db"), &bytes[..30_000]).unwrap();
        }
        "A backup that nobody else can read" => {
            fs::copy(fixture("etcd-3.6.14/snapshot.db"), home.join("backup.db")).unwrap();
            KeyFiles::write(&home);
        }
        "What did the log say?" | "What happened last night?" => drop(unpack("3.6.14", "cold", &home)),
        _ => {}
    }
}

#[test]
fn every_command_of_the_readme_prints_what_it_shows() {
    let sections: Vec<&str> = README.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let shown = README.lines().filter(|line| line.starts_with("    $ ")).count();
    let (mut count, mut wrong) = (0, String::new());
    for section in sections {
        if commands(section).is_empty() {
            continue;
        }
        let machine =
            if section == "A Kubernetes control plane is lost" { Machine::stopped() } else { Machine::new() };
        stand_ins(&machine, section);
        let (ran, differences) = differences(&machine, section);
        count += ran;
        wrong.push_str(&differences);
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(count, shown, "some stand in no section");
}

/// The examples in the help of a command and of those below it.
fn examples(words: &[&str], found: &mut Vec<String>) {
    let ran = coldbolt([words, &["--help"]].concat());
    let help = ran.good();
    let mut block = help
        .split("\nExample")
        .nth(1)
        .unwrap_or_default()
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty());
    while let Some(line) = block.next() {
        // The help is as wide as a terminal: what does not fit is on the next line.
        if let Some(begun) = found.last_mut().filter(|_| !line.contains("coldbolt ")) {
            begun.push(' ');
            begun.push_str(line);
            continue;
        }
        let mut line = line.trim().to_owned();
        while let Some(begun) = line.strip_suffix('\\') {
            line = format!("{begun}{}", block.next().unwrap().trim());
        }
        found.push(line);
    }
    let list =
        help.split("\nCommands:\n").nth(1).unwrap_or_default().lines().take_while(|line| !line.is_empty());
    for name in list.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next())
    {
        examples(&[words, &[name]].concat(), found);
    }
}

/// What the examples name: backups whose revisions go far, members, and what else there is.
fn for_examples() -> Machine {
    let machine = Machine::new();
    let home = machine.path("home");
    machine.manifest("cp1", "home/etcd.yaml");
    fs::write(home.join("backup.toml"), "min-revision = 1\n").unwrap();
    fs::copy(fixture("etcd-3.6.14/snapshot.db"), home.join("backup.db")).unwrap();
    fs::copy(fixture("kube/encrypted-1.37/encryption.yaml"), home.join("encryption.yaml")).unwrap();
    for name in ["m2.db", "m3.db"] {
        fs::copy(home.join("backup.db"), home.join(name)).unwrap();
    }
    let keys = KeyFiles::write(&home);
    for (name, file) in
        [("key", "key.txt"), ("recipients", "recipients.txt"), ("passphrase", "passphrase.txt")]
    {
        fs::copy(keys.of(name), home.join(file)).unwrap();
    }
    let to = ["--to", &keys.of("recipients")];
    coldbolt(args!["encrypt", home.join("backup.db"), "-o", home.join("closed.age"), to[0], to[1]])
        .says(0, &[]);
    machine
}

/// A member of a control plane that runs, and the directory for its backups; gives its endpoint.
fn member_that_runs(machine: &Machine) -> String {
    let snapshot = fs::read(fixture("etcd-3.6.14/snapshot.db")).unwrap();
    let member = Fake::new(sent(&snapshot[..snapshot.len() - 32])).start();
    let pod = format!(
        "kind: Pod\nspec: {{containers: [{{name: etcd, command: [etcd, --advertise-client-urls={member}]}}]}}\n"
    );
    fs::write(machine.path("etc/kubernetes/manifests/etcd.yaml"), pod).unwrap();
    fs::create_dir(machine.path("backups")).unwrap();
    member
}

#[test]
fn every_example_of_the_help_is_a_command_line_that_is_understood() {
    let mut all = Vec::new();
    examples(&[], &mut all);
    assert!(all.len() > 60, "{}: {all:?}", all.len());
    let machine = for_examples();
    let member = member_that_runs(&machine);
    let (mut wrong, mut good) = (String::new(), 0);
    for example in &all {
        let example = &example.replace("http://127.0.0.1:2379", &member);
        let ours = example.split(" | ").next().unwrap();
        assert!(ours.starts_with("coldbolt ") || ours.contains("| coldbolt "), "{example}");
        let (said, code) = machine.run(ours);
        // What a file that stands in does not hold is no fault of the example.
        good += usize::from(code == 0);
        if code == 2 || code == 5 {
            wrong.push_str(&format!("$ {ours}\n{said}exit code {code}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{good} of {} are good", all.len());
    assert!(good * 2 > all.len(), "{good} of {}", all.len());
}

/// Text without its lines, roff's escapes and marks.
fn words(text: &str) -> String {
    text.replace("\\-", "-").replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_exit_codes_are_the_same_in_the_readme_the_help_and_the_manual_page() {
    let table = README.split("\n## Exit codes\n").nth(1).unwrap().trim_start().split("\n\n").next().unwrap();
    let (help, man) = (words(coldbolt(["--help"]).good()), words(coldbolt(["man"]).good()));
    let rows: Vec<(&str, &str)> =
        table.lines().skip(2).map(|row| row.trim_matches(['|', ' ']).split_once(" | ").unwrap()).collect();
    assert_eq!(
        rows.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        ["0", "1", "2", "3", "4", "5", "130, 143"]
    );
    for (code, meaning) in rows {
        let row = format!("{code} {}", words(meaning));
        assert!(help.contains(&row), "{row}\n{help}");
        assert!(man.contains(&format!(".TP {row}")), "{row}\n{man}");
    }
    assert_eq!(help.matches(" good 1 ").count(), 1);
}

#[test]
fn what_the_manual_page_shows_to_be_typed_is_never_broken() {
    let man = coldbolt(["man", "bolt", "get"]);
    let examples = man.good().split(".SH EXAMPLES\n.nf\n").nth(1).unwrap().split("\n.fi").next().unwrap();
    assert!(examples.lines().all(|line| line.starts_with("  coldbolt bolt get ")), "{examples}");
    assert!(man.good().contains("\n.nh\n") && !man.good().contains("EXTRA"));
}

#[test]
fn what_names_no_file_is_not_completed_to_one() {
    let script = coldbolt(["completion", "bash"]);
    let explain = script.good().split("coldbolt__subcmd__explain)").nth(1);
    let explain = explain.or_else(|| script.good().split("coldbolt__explain)").nth(1)).unwrap();
    let explain = explain.split(";;\n        coldbolt").next().unwrap();
    // But for what a flag of every command names.
    let (before, keys) = explain.split_once("\n                --age-identity)").unwrap();
    let (_, after) = keys.split_once("*)").unwrap();
    assert!(!before.contains("compgen -f") && !after.contains("compgen -f"), "{explain}");
    assert!(script.good().contains("compgen -f"));
}
