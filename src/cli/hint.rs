//! What the library hints at, in the words of this command line: which flag, which command.

use std::io::ErrorKind;
use std::path::Path;

use coldbolt::Error;
use coldbolt::io::dest::room;
use coldbolt::ops::verify::Verification;
use coldbolt::words::error::show;
use coldbolt::words::finding::Finding;
use coldbolt::words::hint::{Hint, Note};
use coldbolt::words::monitor::Monitor;
use coldbolt::words::refusal::Refusal;

/// How a text goes on that has this hint.
fn text(hint: Hint) -> String {
    match hint {
        Hint::DumpWal => "; use `coldbolt wal dump` on its directory",
        Hint::ShowRaftSnapshot => "; use `coldbolt snap show`",
        Hint::Inspect => "; `coldbolt inspect` tells what a file is",
        Hint::FromPipe => "; what a pipe brings is read with `-`, from standard input",
        Hint::Unpack(what) => return unpacked(what),
        Hint::SnapshotToRead => ". Stop it, or take a snapshot with `etcdctl snapshot save` and read that",
        Hint::Snapshot => ". Stop it, or use `etcdctl snapshot save`",
        Hint::SnapshotOrCopyLive => {
            ". Stop it, take a snapshot with `etcdctl snapshot save`, or copy it with --allow-live"
        }
        Hint::CopyLive => "; stop etcd, or say --allow-live",
        Hint::DefragLive => ". Stop it, or use `etcdctl defrag`",
        Hint::DefragElsewhere => "; `coldbolt defrag FILE -o NEW` makes a new file of it",
        Hint::StillRising => "; its revision is still rising",
        Hint::FinishCompaction => ": --live-only finishes it, or etcd when it starts",
        Hint::NameLog => "; give a data directory, its member/wal, or --wal-dir",
        Hint::TargetVersion => "; say --target-version",
        Hint::RaiseRevision => "; --bump-revision auto with --mark-compacted spares them that",
        Hint::RaiseOthers(by) => {
            return format!(
                ": restore them with --bump-revision {by}, or all of them at once with --all-members"
            );
        }
        Hint::LogElsewhere => "; leave --wal-dir out, or put it elsewhere",
        Hint::LogOfDirectory => "; if it is kept elsewhere, say --wal-dir",
        Hint::CopyToStart | Hint::CopyFirst | Hint::CopyChain => copied(hint),
        Hint::AllowDamage => "; with --allow-damage it takes what can be read",
        Hint::Promote => ": `coldbolt member promote` makes a directory in which it votes",
        Hint::SkipHashCheck => ". Say --skip-hash-check if it was copied from a stopped member",
        Hint::Unseal => "; `coldbolt verify` tells whether it is right, `coldbolt unseal` takes it off",
        Hint::EtcdVersion => ": say --etcd-version",
        Hint::EtcdVersionIfNewer => ", say --etcd-version if it was newer",
        Hint::EtcdPatchVersion => ", say --etcd-version to be sure",
        Hint::OlderBase => "; `coldbolt replay PATH --base OLDER` begins with an older snapshot",
        Hint::EndElsewhere => "; say --to-rev or --to-index",
        Hint::OlderBaseOrEndElsewhere => {
            ": say --to-rev or --to-index, or begin with an older snapshot by `coldbolt replay PATH --base OLDER`"
        }
        Hint::Fold => ", with --fold it has that",
        Hint::CutFront(bytes) => {
            return format!("; `tail -c +{} FILE > NEW` leaves the rest out", bytes.saturating_add(1));
        }
        Hint::ListKinds => "; `coldbolt kube kinds` lists those that are there",
        Hint::Namespace => "; give it metadata.namespace, or say --namespace",
        Hint::EtcdPrefix => "; say --etcd-prefix",
        Hint::ShowSecrets => "; `coldbolt kube get --show-secrets` prints them",
        Hint::Decrypt | Hint::OtherIdentity | Hint::Passphrase | Hint::Identity => return opened(hint),
        Hint::MoreWork(work) => {
            return format!("; if you trust who made it and have the memory, say --max-work-factor {work}");
        }
        Hint::MaxUnpacked => "; if it is what it should be, say --max-unpacked",
        other => of_sqlite(other),
    }
    .to_owned()
}

/// The same, where a copy is what helps.
fn copied(hint: Hint) -> &'static str {
    match hint {
        Hint::CopyToStart => {
            "; `coldbolt copy` takes all of it, with --as data-dir as a directory that every etcd of the same version starts from"
        }
        Hint::CopyChain => {
            "; `coldbolt copy DIR -o NEW.db` makes one snapshot file of a full snapshot and its increments in DIR"
        }
        _ => ": `coldbolt copy` folds them in first",
    }
}

/// The same, where a file is one of SQLite.
fn of_sqlite(hint: Hint) -> &'static str {
    match hint {
        Hint::KineReaders => {
            ". Of k3s' state.db `coldbolt inspect`, get, keys, history, events, diff, compare, export and kube tell what is in it"
        }
        Hint::SqliteBackup => ". Stop it, or make a copy with `sqlite3 FILE \".backup COPY\"` and read that",
        Hint::SqliteRecover => {
            "; open a copy of both files with the sqlite3 program first, and read that copy"
        }
        other => of_server(other),
    }
}

/// The same, of what a member that runs asks for.
fn of_server(hint: Hint) -> &'static str {
    match hint {
        Hint::TrustCa => "; give the CA that signed its certificate with --cacert",
        Hint::ClientCertificate => "; give a certificate that it accepts with --cert, and its key with --key",
        Hint::LogIn => "; log in with --user and --password-file",
        Hint::SalvageBase => "; give an older backup that it goes on from with --base",
        Hint::SalvageUncertain => "; --include-uncertain takes them",
        Hint::StopEtcd => ". Stop it first",
        // A hint of a newer library.
        _ => "",
    }
}

/// How a file is opened that is closed with age.
fn opened(hint: Hint) -> String {
    match hint {
        Hint::OtherIdentity => "; give the key of one of them with --identity",
        Hint::Passphrase => "; give it with --passphrase-file",
        Hint::Identity => "; give the key of one of them with --identity, and no passphrase",
        _ => "; `coldbolt decrypt FILE -o NEW` opens it, or --age-identity KEYS here",
    }
    .to_owned()
}

/// How what is packed so is read.
fn unpacked(what: &str) -> String {
    let mount =
        |options: &str| format!(": `mount -o {options} FILE DIR` as root, and give the directory in DIR");
    match what {
        "an ext volume" | "a btrfs volume" => return mount("loop,ro"),
        "an XFS volume" => return mount("loop,ro,norecovery,nouuid"),
        "an LVM physical volume" => {
            return "; activate it (`losetup -rf`, `vgchange -ay`) and give the device of its logical volume"
                .to_owned();
        }
        "a LUKS container" => {
            return "; open it (`cryptsetup open --readonly FILE NAME`) and give /dev/mapper/NAME".to_owned();
        }
        "a qcow2 image" | "a VMDK image" | "a VHDX image" | "a VHD image" | "a VDI image" => {
            return ": `qemu-img convert -O raw FILE NEW.img` makes one that is".to_owned();
        }
        _ => {}
    }
    let program = match what.split(' ').nth(1).unwrap_or_default() {
        "gzip" | "compress" => "gzip -dc",
        "zstd" => "zstd -dc",
        "xz" => "xz -dc",
        "bzip2" => "bzip2 -dc",
        "lz4" => "lz4 -dc",
        "zip" => "unzip -p",
        "age-encrypted" => "age -d -i KEY",
        "tar" => return ", with `tar -xf FILE`".to_owned(),
        _ => return String::new(),
    };
    format!(": `{program} FILE | coldbolt COMMAND -`")
}

/// An error, and what helps.
pub fn error(error: &Error) -> String {
    match error {
        Error::Refused(Refusal::NoSuchLearner { name, cluster }) => {
            format!("--learner {name}: no such member in --initial-cluster={cluster}")
        }
        Error::Refused(refusal @ Refusal::NoVoter) => format!("--learner: {refusal}"),
        Error::Refused(Refusal::CannotRaise { from, by }) => {
            format!("--bump-revision {by}: revision {from} cannot be raised so far")
        }
        Error::Output { what, source } if full(source.kind()) => error.to_string() + &room(Path::new(what)),
        _ => error.to_string() + &error.hint().map_or_else(String::new, text),
    }
}

fn full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// How much can still be written where a file was to be.
fn room(path: &Path) -> String {
    let existing = |dir: &&Path| dir.is_dir();
    let Some(dir) = path.ancestors().skip(1).find(existing) else { return String::new() };
    room::free_in(dir).map_or_else(String::new, |free| format!("; {free} bytes are free in {}", show(dir)))
}

fn settle(detail: &mut String, hint: &mut Option<Hint>) {
    if let Some(hint) = hint.take() {
        *detail += &text(hint);
    }
}

/// A finding whose detail says what helps.
pub fn finding(mut finding: Finding) -> Finding {
    settle(&mut finding.detail, &mut finding.hint);
    finding
}

/// Has each finding say what helps.
pub fn findings(findings: &mut [Finding]) {
    for finding in findings {
        settle(&mut finding.detail, &mut finding.hint);
    }
}

/// Has each note say what helps.
pub fn notes<'n>(notes: impl IntoIterator<Item = &'n mut Note>) {
    for note in notes {
        settle(&mut note.text, &mut note.hint);
    }
}

/// Has each finding and each level say what helps.
pub fn verification(verification: &mut Verification) {
    findings(&mut verification.findings);
    for level in &mut verification.levels {
        settle(&mut level.detail, &mut level.hint);
    }
}

/// Passes everything on, with findings that say what helps.
pub struct Worded<'m>(pub &'m dyn Monitor);

impl Monitor for Worded<'_> {
    fn begin(&self, what: &str, total: u64) {
        self.0.begin(what, total);
    }

    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn end(&self) {
        self.0.end();
    }

    fn finding(&self, found: Finding) {
        self.0.finding(finding(found));
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1 cargo test --bin coldbolt` writes it anew: read what has changed.
    #[test]
    fn each_hint_says_what_it_said_and_names_commands_and_flags_that_there_are() {
        let said: String = Hint::ALL.iter().map(|hint| format!("{hint:?}: {}\n", text(*hint))).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hints.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &said).unwrap();
        }
        assert_eq!(said, std::fs::read_to_string(path).unwrap());
        assert!(!Hint::ALL.iter().any(|hint| text(*hint).is_empty()));
        let command = super::super::command();
        let mut flags = Vec::new();
        let mut below: Vec<_> = vec![&command];
        while let Some(command) = below.pop() {
            flags.extend(command.get_arguments().filter_map(clap::Arg::get_long));
            below.extend(command.get_subcommands());
        }
        for word in said.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            if let Some(flag) = word.strip_prefix("--") {
                assert!(flags.contains(&flag), "there is no --{flag}");
            }
        }
        let ours = said.split("`coldbolt ").skip(1).filter_map(|rest| rest.split([' ', '`']).next());
        for name in ours.filter(|name| *name != "COMMAND") {
            assert!(command.find_subcommand(name).is_some(), "there is no command {name}");
        }
    }
}
