//! What helps, said by its meaning: a front end says it in its own words. The command line names its flags and commands
//! (`src/cli/hint.rs`).

/// What the caller may do about an error, a finding or a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// The directory of this WAL segment can be printed.
    DumpWal,
    /// This raft snapshot can be printed.
    ShowRaftSnapshot,
    /// What a file is can be asked for.
    Inspect,
    /// What a pipe brings can be read from standard input.
    FromPipe,
    /// What is packed so can be unpacked on the way.
    Unpack(&'static str),
    /// Stop etcd, or have it make a snapshot, and read that.
    SnapshotToRead,
    /// Stop etcd, or have it make a snapshot.
    Snapshot,
    /// Stop etcd, have it make a snapshot, or copy its files as they are.
    SnapshotOrCopyLive,
    /// Stop etcd, or copy its files as they are.
    CopyLive,
    /// Stop etcd, or have it defragment its own database.
    DefragLive,
    /// Write it to a new file, and put that there.
    DefragElsewhere,
    /// Stop etcd: the revision that was asked for is still rising.
    StillRising,
    /// A finished compaction leaves nothing behind.
    FinishCompaction,
    /// Name a directory with a log, or the log's own.
    NameLog,
    /// Name the version that the restored files are for.
    TargetVersion,
    /// Raise the revision past those that clients saw, and mark what is before as compacted.
    RaiseRevision,
    /// Raise the other members as far as this one, by so much, or restore all of them at once.
    RaiseOthers(u64),
    /// Leave the log in the data directory, or put it elsewhere.
    LogElsewhere,
    /// Say where the log of the directory is kept.
    LogOfDirectory,
    /// A copy has everything, also as a directory that etcd starts from.
    CopyToStart,
    /// Restore what can be read of a damaged source.
    AllowDamage,
    /// Copy the directory: that applies the log first.
    CopyFirst,
    /// Copy the full snapshot with the increments, which makes one snapshot file of them.
    CopyChain,
    /// Have a learner vote.
    Promote,
    /// Take a database without a trailer, if it is one that a member kept.
    SkipHashCheck,
    /// Whether the trailer is right can be told, and it can be taken off.
    Unseal,
    /// Name the version that wrote the files.
    EtcdVersion,
    /// Name the version that wrote the files if it was newer than was taken.
    EtcdVersionIfNewer,
    /// Name the patch version that wrote the files.
    EtcdPatchVersion,
    /// Begin at an older snapshot.
    OlderBase,
    /// Say where to end by revision or raft index instead of by time.
    EndElsewhere,
    /// Begin at an older snapshot, or say where to end by revision or raft index.
    OlderBaseOrEndElsewhere,
    /// Have the log applied in memory.
    Fold,
    /// Leave out so many bytes at the front.
    CutFront(u64),
    /// The kinds that a file has can be listed.
    ListKinds,
    /// Say in which namespace.
    Namespace,
    /// Say what stands before the keys of objects.
    EtcdPrefix,
    /// Print the object with its secrets.
    ShowSecrets,
    /// Open the file with its key.
    Decrypt,
    /// Give the keys of the recipients of the file.
    OtherIdentity,
    /// Give the passphrase.
    Passphrase,
    /// Give keys, not a passphrase.
    Identity,
    /// Allow more work for a passphrase.
    MoreWork(u32),
    /// Some commands answer from a database of kine.
    KineReaders,
    /// Stop what runs, or have SQLite make a copy.
    SqliteBackup,
    /// Say how much a packed file may be unpacked to.
    MaxUnpacked,
    /// Have SQLite open a copy, which puts back what was not finished.
    SqliteRecover,
    /// Say who signs the certificates of servers.
    TrustCa,
    /// Give a certificate and its key, as the server asks for one.
    ClientCertificate,
    /// Give a user and the password.
    LogIn,
    /// An older backup has what a log goes on from.
    SalvageBase,
    /// What is uncertain can be taken, too.
    SalvageUncertain,
    /// Stop etcd first.
    StopEtcd,
}

impl Hint {
    /// One of each, for who says them in words and must have words for all.
    #[doc(hidden)]
    pub const ALL: [Hint; 53] = [
        Hint::DumpWal,
        Hint::ShowRaftSnapshot,
        Hint::Inspect,
        Hint::FromPipe,
        Hint::Unpack("a gzip file"),
        Hint::SnapshotToRead,
        Hint::Snapshot,
        Hint::SnapshotOrCopyLive,
        Hint::CopyLive,
        Hint::DefragLive,
        Hint::DefragElsewhere,
        Hint::StillRising,
        Hint::FinishCompaction,
        Hint::NameLog,
        Hint::TargetVersion,
        Hint::RaiseRevision,
        Hint::RaiseOthers(7),
        Hint::LogElsewhere,
        Hint::LogOfDirectory,
        Hint::CopyToStart,
        Hint::AllowDamage,
        Hint::CopyFirst,
        Hint::CopyChain,
        Hint::Promote,
        Hint::SkipHashCheck,
        Hint::Unseal,
        Hint::EtcdVersion,
        Hint::EtcdVersionIfNewer,
        Hint::EtcdPatchVersion,
        Hint::OlderBase,
        Hint::EndElsewhere,
        Hint::OlderBaseOrEndElsewhere,
        Hint::Fold,
        Hint::CutFront(7),
        Hint::ListKinds,
        Hint::Namespace,
        Hint::EtcdPrefix,
        Hint::ShowSecrets,
        Hint::Decrypt,
        Hint::OtherIdentity,
        Hint::Passphrase,
        Hint::Identity,
        Hint::MoreWork(21),
        Hint::KineReaders,
        Hint::SqliteBackup,
        Hint::SqliteRecover,
        Hint::TrustCa,
        Hint::ClientCertificate,
        Hint::LogIn,
        Hint::MaxUnpacked,
        Hint::SalvageBase,
        Hint::SalvageUncertain,
        Hint::StopEtcd,
    ];
}

/// Something a person should know about what was done, and what helps. It is serialized as its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What to know.
    pub text: String,
    /// What helps.
    pub hint: Option<Hint>,
}

impl Note {
    /// Something to know, and what helps.
    #[must_use]
    pub fn with(text: impl Into<String>, hint: Hint) -> Note {
        Note { text: text.into(), hint: Some(hint) }
    }
}

impl<T: Into<String>> From<T> for Note {
    fn from(text: T) -> Note {
        Note { text: text.into(), hint: None }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Note {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it is among [`Hint::ALL`]: whoever adds one adds it there.
    fn place(hint: Hint) -> usize {
        match hint {
            Hint::DumpWal => 0,
            Hint::ShowRaftSnapshot => 1,
            Hint::Inspect => 2,
            Hint::FromPipe => 3,
            Hint::Unpack(_) => 4,
            Hint::SnapshotToRead => 5,
            Hint::Snapshot => 6,
            Hint::SnapshotOrCopyLive => 7,
            Hint::CopyLive => 8,
            Hint::DefragLive => 9,
            Hint::DefragElsewhere => 10,
            Hint::StillRising => 11,
            Hint::FinishCompaction => 12,
            Hint::NameLog => 13,
            Hint::TargetVersion => 14,
            Hint::RaiseRevision => 15,
            Hint::RaiseOthers(_) => 16,
            Hint::LogElsewhere => 17,
            Hint::LogOfDirectory => 18,
            Hint::CopyToStart => 19,
            Hint::AllowDamage => 20,
            Hint::CopyFirst => 21,
            Hint::CopyChain => 22,
            Hint::Promote => 23,
            Hint::SkipHashCheck => 24,
            Hint::Unseal => 25,
            Hint::EtcdVersion => 26,
            Hint::EtcdVersionIfNewer => 27,
            Hint::EtcdPatchVersion => 28,
            Hint::OlderBase => 29,
            Hint::EndElsewhere => 30,
            Hint::OlderBaseOrEndElsewhere => 31,
            Hint::Fold => 32,
            Hint::CutFront(_) => 33,
            Hint::ListKinds => 34,
            Hint::Namespace => 35,
            Hint::EtcdPrefix => 36,
            Hint::ShowSecrets => 37,
            Hint::Decrypt => 38,
            Hint::OtherIdentity => 39,
            Hint::Passphrase => 40,
            Hint::Identity => 41,
            Hint::MoreWork(_) => 42,
            Hint::KineReaders => 43,
            Hint::SqliteBackup => 44,
            Hint::SqliteRecover => 45,
            Hint::TrustCa => 46,
            Hint::ClientCertificate => 47,
            Hint::LogIn => 48,
            Hint::MaxUnpacked => 49,
            Hint::SalvageBase => 50,
            Hint::SalvageUncertain => 51,
            Hint::StopEtcd => 52,
        }
    }

    #[test]
    fn all_hints_are_all_hints() {
        for (at, hint) in Hint::ALL.into_iter().enumerate() {
            assert_eq!(place(hint), at, "{hint:?}");
        }
    }
}
