//! The codes of findings: a table with a row for each, from which the enum is made.
//!
//! A row is the variant, its name, how bad it is, the level of a verification that it belongs to, what it means, what
//! etcd does about it, and a remedy. A name is never reused and never changes its meaning. `tests/it/verify/corruption`
//! proves each one on a damaged file.
//!
//! The remedies name commands of coldbolt: they are read by people who look a code up (`coldbolt explain`). No other
//! text of the library does (`tests/layering.rs`).

pub use super::level::{Level, Severity};

codes! {
    // ---- the file itself ---------------------------------------------------------------------------------------
    Unreadable, "unreadable", Damage, Bytes,
        "The operating system could not deliver bytes that the file should hold: a bad sector, or the file shrank while it was read.",
        "A mapped read dies of SIGBUS; etcd and etcdutl crash.",
        "Copy the disk with ddrescue and read the copy; if another process writes the file, stop it first.";
    FileTooShort, "file-too-short", Damage, Identity,
        "The file ends before the last page that its meta page counts: the end of the file is missing.",
        "etcdutl snapshot status and etcd die of SIGBUS when they touch the missing part.",
        "Fetch the file again from where it came from; what is left can be read with inspect and salvaged.";
    PackedDamaged, "packed-damaged", Damage, Bytes,
        "What is around the file is damaged: an archive or a compressed stream is cut off, or a checksum in it does not hold.",
        "etcd and its tools read no packed files; gunzip, xz, zstd, tar and unzip refuse this one too, or leave a part of what was in it.",
        "Fetch the file again from where it came from; what is before the damage can be had with the program that packed it.";
    InUse, "in-use", Warning, Identity,
        "A running etcd holds the file's lock, or the file changed while it was read.",
        "etcdutl snapshot status waits for ever; a copy made now is torn.",
        "Stop the member, or take a snapshot with `etcdctl snapshot save` and read that.";
    // ---- bbolt: meta pages ---------------------------------------------------------------------------------------
    MetaInvalid, "meta-invalid", Damage, Identity,
        "One of the two meta pages does not validate (magic, version, checksum, page size or header).",
        "bbolt silently opens the file with the other meta page, which may be one commit older.",
        "Take another copy if there is one; otherwise the other meta page's tree is the way out.";
    MetaUnusable, "meta-unusable", Damage, Identity,
        "A meta page's checksum holds but it names pages that cannot exist: root, freelist or high water mark out of range.",
        "bbolt crashes when it follows them.",
        "The other meta page, if its tree is whole, is the commit before: see the report for its state.";
    MetaFallback, "meta-fallback", Note, Identity,
        "The meta page in use or its tree is damaged; this tells whether the tree of the other meta page, the commit before, is whole.",
        "bbolt falls back only when a meta page itself is invalid, never for a damaged tree.",
        "If it is whole, the state at that commit can be recovered from it.";
    // ---- bbolt: pages --------------------------------------------------------------------------------------------
    PageId, "page-id", Damage, Pages,
        "A page's header carries another page's number: the page was misplaced, overwritten or never written.",
        "bbolt 1.3.7 and newer stop with an assertion failure; older ones read the wrong page.",
        "Salvage the remaining pages, or restore another backup.";
    PageType, "page-type", Damage, Pages,
        "A page's type flags are not what its place in the tree needs.",
        "bbolt stops with an assertion failure or a panic.",
        "Salvage the remaining pages, or restore another backup.";
    PageOutOfRange, "page-out-of-range", Damage, Pages,
        "A page number points below page 2 or at or past the high water mark, or the run of overflow pages does.",
        "bbolt reads past its mapping and crashes; a number equal to the high water mark passes bbolt's check.",
        "Salvage the remaining pages, or restore another backup.";
    PageShared, "page-shared", Damage, Pages,
        "A page is reached twice: two branches share it, or the pages form a cycle.",
        "bbolt check reports 'multiple references'; readers of a cycle never end.",
        "Salvage the remaining pages, or restore another backup.";
    PageCount, "page-count", Damage, Pages,
        "A page says it holds more elements than fit into it, or a page inside the tree holds none.",
        "bbolt reads past the page and crashes.",
        "Salvage the remaining pages, or restore another backup.";
    ElementBounds, "element-bounds", Damage, Pages,
        "An element's key or value lies outside its page.",
        "bbolt reads past the page: garbage or a crash.",
        "Salvage the remaining elements, or restore another backup.";
    ElementGap, "element-gap", Damage, Pages,
        "An element's key does not start where the element before it ends: a position, a length or the page's count was altered.",
        "bbolt reads what the element says: cut or stretched values, or fewer elements than were written.",
        "Compare the page with another copy; the elements themselves are readable but one of them is not what was written.";
    ElementFlags, "element-flags", Damage, Pages,
        "A leaf element has flag bits that bbolt does not define.",
        "bbolt ignores them.",
        "The page was probably overwritten: check its other elements.";
    KeyEmpty, "key-empty", Damage, Pages,
        "An element has a key of length zero, which bbolt never writes.",
        "bbolt panics when it next changes the page.",
        "Salvage the remaining elements, or restore another backup.";
    KeyOrder, "key-order", Damage, Pages,
        "Keys are not strictly ascending in a page or across pages.",
        "Look-ups miss keys that are there; bbolt check reports it since 1.3.7.",
        "A full scan still reads every element; rewrite the file from it or restore another backup.";
    BranchKey, "branch-key", Damage, Pages,
        "A branch element's key is not the first key of its child.",
        "bbolt check passes it, and the next write to that child corrupts the tree.",
        "Do not let etcd write to this file; rewrite it first.";
    DepthUneven, "depth-uneven", Damage, Pages,
        "Leaves of one tree lie at different depths, or the tree is deeper than any real one.",
        "bbolt does not check it.",
        "Salvage the remaining pages, or restore another backup.";
    BucketHeader, "bucket-header", Damage, Pages,
        "A bucket's entry is too short for a bucket header, or its inline page is not one.",
        "bbolt panics with index out of range.",
        "The bucket is lost; the others can still be read.";
    FreelistInvalid, "freelist-invalid", Damage, Pages,
        "The stored freelist cannot be read, or lists a page twice or out of range.",
        "bbolt panics at open, or hands out a page that is in use.",
        "Rewrite the file without a freelist; reads are not affected.";
    FreelistReachable, "freelist-reachable", Damage, Pages,
        "A page of the tree is also listed as free: the next write may overwrite it.",
        "bbolt check reports 'reachable freed'; etcd corrupts the file when it writes.",
        "Do not let etcd write to this file; rewrite it first.";
    PageLeaked, "page-leaked", Warning, Pages,
        "A page is neither in the tree nor in the stored freelist: its space is lost until the file is rewritten.",
        "Nothing happens; bbolt check and etcdutl snapshot status report 'unreachable unfreed'.",
        "bbolt check and etcdutl snapshot status call the file bad for it, and so does verify --strict; a defragmented one is not.";
    // ---- snapshot file trailer -----------------------------------------------------------------------------------
    TrailerMismatch, "trailer-mismatch", Damage, Bytes,
        "The SHA-256 at the end of the snapshot file is not that of the bytes before it: some byte changed since it was saved.",
        "etcdutl snapshot status does not look; etcdutl snapshot restore refuses the file.",
        "Take another copy of the backup; if there is none, verify's other levels tell what still holds.";
    TrailerAbsent, "trailer-absent", Note, Identity,
        "The file ends without a SHA-256: it was copied from a member, not made by snapshot save, so its bytes cannot be checked.",
        "etcdutl snapshot restore refuses it without --skip-hash-check.",
        "Make backups with `etcdctl snapshot save`, or keep a manifest beside the file.";
    TrailerZeroed, "trailer-zeroed", Damage, Bytes,
        "The 32 bytes where the SHA-256 is due are zero: the end of the file was never written, or lies in a hole.",
        "etcdutl snapshot status does not look; restore says 'expected sha256 [0 0 0 ...]'.",
        "Fetch the file again from where it came from.";
    TrailerCut, "trailer-cut", Damage, Identity,
        "A few bytes follow the database where 32 are due: the file was cut off inside its trailer.",
        "etcdutl snapshot status says nothing; restore says the snapshot is missing its hash.",
        "Fetch the file again; the database itself may be whole, see the other levels.";
    TrailingBytes, "trailing-bytes", Warning, Identity,
        "Bytes stand after the database that belong neither to it nor to a trailer: something was appended, or the meta page is older than the file.",
        "etcd and its tools ignore them; with such a length restore may take the wrong 32 bytes for the SHA-256.",
        "Compare the length with the original's; `head -c` leaves what was appended out. The database itself is judged by the other levels.";
    ManifestMismatch, "manifest-mismatch", Damage, Bytes,
        "The file is not the one its manifest describes: its length or a checksum differs.",
        "etcd knows no manifests.",
        "Fetch the file again from where it came from; if it was replaced on purpose, write a new manifest.";
    // ---- files that are closed with age --------------------------------------------------------------------------
    AgeHeader, "age-header", Damage, Identity,
        "The header of an age file is none: a line of it is not what the format has there, so that no key opens the file.",
        "etcd knows no age files.",
        "Fetch the file again from where it came from.";
    AgeCut, "age-cut", Damage, Identity,
        "An age file ends where none can end: inside its header, or behind too few bytes of its last chunk.",
        "etcd knows no age files.",
        "Fetch the file again from where it came from: what is there opens only up to the last whole chunk.";
    AgeChunk, "age-chunk", Damage, Bytes,
        "The file key opens, but a chunk of 64 KiB behind it does not: a byte of it was changed, or the file was cut or reordered there.",
        "etcd knows no age files.",
        "Fetch the file again from where it came from; nothing of what is opened is kept.";
    // ---- etcd's keyspace -----------------------------------------------------------------------------------------
    BucketMissing, "bucket-missing", Damage, Mvcc,
        "A bucket that every etcd database has is not there.",
        "etcd creates it empty at boot; etcdutl 3.6 panics without the meta bucket.",
        "The file may not be etcd's, or a page of the root was lost.";
    BucketUnknown, "bucket-unknown", Warning, Mvcc,
        "A bucket or key that no etcd version writes stands among etcd's own.",
        "etcd ignores it; the status hash covers it.",
        "Find out which program wrote it; a copy of a live file can mix up pages of two states.";
    RevisionKey, "revision-key", Damage, Mvcc,
        "A key in the key bucket is not a revision: 17 or 18 bytes, big-endian main, '_', sub, and 't' for a tombstone.",
        "etcd 3.6 panics; older versions misread it.",
        "The entry is lost; restore another backup.";
    ValueUndecodable, "value-undecodable", Damage, Mvcc,
        "A stored record does not decode as the message that belongs there.",
        "etcd panics when it loads it.",
        "The record is lost; restore another backup.";
    ModRevision, "mod-revision", Damage, Mvcc,
        "A stored value says another mod_revision than the revision it is stored under.",
        "etcd serves it with the wrong mod_revision; nothing checks it.",
        "The page or record was altered: restore another backup, or compare with another member.";
    VersionChain, "version-chain", Damage, Mvcc,
        "A key's create revision or version does not continue from the revision of the key before it.",
        "etcd does not check it; clients that compare versions misbehave.",
        "A revision of the key was lost or altered: compare with another member or an older backup.";
    Tombstone, "tombstone", Damage, Mvcc,
        "A deletion of a key that was not there, or one that carries a value.",
        "etcd 3.5 and older ignore or panic on it, depending on the version.",
        "A revision of the key was lost or altered: compare with another member or an older backup.";
    SubRevision, "sub-revision", Damage, Mvcc,
        "The changes inside one transaction have a hole: some of them are missing.",
        "etcd does not check it.",
        "Data of that transaction is lost: compare with another member or an older backup.";
    RevisionGap, "revision-gap", Damage, Mvcc,
        "Main revisions after the last compaction have a hole: whole transactions are missing.",
        "etcd does not check it; watchers miss those changes for ever.",
        "Data is lost: compare with another member or an older backup.";
    DeletedAndPut, "deleted-and-put", Warning, Mvcc,
        "One transaction deletes a key and puts it again, which etcd takes only where the deletion goes up to the last key (--from-key).",
        "etcd 3.4.34, 3.5.16, 3.6 and newer lose what was put if they compact at exactly this revision; a read of the key then ends the server: 'range failed to find revision pair'. A compaction at a later revision is safe.",
        "Before any compaction, put any key and compact at that later revision. If a compaction at this very revision is unfinished, read the key with `coldbolt get` and put it again once etcd has started.";
    CompactionMarks, "compaction-marks", Damage, Mvcc,
        "The marks of the last compaction contradict each other: one was finished that is later than the last one asked for.",
        "etcd takes the greater one.",
        "The meta bucket was altered: restore another backup.";
    CompactionUnfinished, "compaction-unfinished", Note, Mvcc,
        "A compaction was asked for and not finished when the file was made.",
        "etcd resumes it when it starts.",
        "Nothing to do.";
    LeaseMissing, "lease-missing", Warning, Mvcc,
        "A live key is attached to a lease that is not there: it will never expire.",
        "etcd logs an error when it starts and keeps the key.",
        "Compare with another member; delete the key if it should be gone.";
    MembersDisagree, "members-disagree", Warning, Mvcc,
        "The places that say who is a member contradict each other: bucket members, meta/confState, the log, the raft snapshot.",
        "etcd 3.5 trusts the raft snapshot, 3.6 and newer the database: an upgrade then fails or loses a member (etcd issues 19557, 20793).",
        "Before an upgrade, bring the cluster to etcd 3.5.26 or newer, which repairs it.";
    AuthInconsistent, "auth-inconsistent", Warning, Mvcc,
        "A user has a role that does not exist, or authentication is on without a root user.",
        "etcd ignores the role; without root nobody can administer it.",
        "Compare with another member or an older backup.";
    RoleNotUtf8, "role-not-utf8", Warning, Mvcc,
        "A user has a role whose name is not UTF-8.",
        "etcd up to 3.6 takes any bytes; 3.7 panics when it starts: 'failed to unmarshal authpb.User ... invalid UTF-8'.",
        "Before an upgrade to 3.7, give the user a role of another name and revoke this one.";
    AlarmActive, "alarm-active", Warning, Mvcc,
        "An alarm is raised: NOSPACE refuses writes, CORRUPT refuses everything.",
        "etcd keeps it raised after a restore until `etcdctl alarm disarm`.",
        "Find its cause: defragment and disarm for NOSPACE, compare the members for CORRUPT.";
    IndexMissing, "index-missing", Warning, Mvcc,
        "The database does not say up to which raft entry it holds everything.",
        "etcd replays the whole log on top of it; 3.6 cannot tell its storage version.",
        "Expected only in a database that was never written to by a cluster.";
    StorageVersionUnknown, "storage-version-unknown", Note, Mvcc,
        "The database is of a newer storage version than this coldbolt knows: its new rules are not checked.",
        "An older etcd refuses it: 'version is not supported'.",
        "Use a newer coldbolt, or have it judged by the rules of the newest version that is known.";
    EtcdOlder, "etcd-older", Note, Mvcc,
        "The cluster's version is older than 3.4: such an etcd wrote it, or 3.4 before all members were of it.",
        "3.4 and 3.5 start from it; 3.6 and newer only if no client of the v2 API left anything.",
        "Nothing: it is read by the rules of 3.4, which are the same for all that these files can hold.";
    // ---- write-ahead log -----------------------------------------------------------------------------------------
    WalCrc, "wal-crc", Damage, Wal,
        "A WAL record's checksum does not continue the chain: the record or one before it changed after it was written.",
        "etcd refuses to start: 'walpb: crc mismatch', and it cannot be repaired.",
        "Entries before the damage can be read; if the db is past it nothing is lost.";
    WalTorn, "wal-torn", Warning, Wal,
        "The last WAL record was cut off while it was written, as a crash leaves it.",
        "etcd repairs it at boot: the file is cut at the last whole record and the old one kept as .broken; 3.4.0 to 3.5.6 refuse to start where garbage looks like a record of 10 MiB or more.",
        "If committed entries are lost, as the finding says then: find another member's directory. Else nothing: a torn record was never acknowledged, and for an etcd that refuses it there is `coldbolt copy --as data-dir`.";
    WalRecord, "wal-record", Damage, Wal,
        "A WAL frame cannot be a record: impossible length, padding, type or an undecodable payload.",
        "etcd refuses to start.",
        "Entries before the damage can be read; if the db is past it nothing is lost.";
    WalLong, "wal-long", Warning, Wal,
        "A WAL record is of 10 MiB or more.",
        "3.4 and 3.5.0 to 3.5.4 refuse to start: 'wal: max entry size limit exceeded'; 3.5.5 and newer take it.",
        "Start etcd 3.5.5 or newer, or make a directory that begins behind it: `coldbolt copy --as data-dir`.";
    WalSequence, "wal-sequence", Damage, Wal,
        "WAL segments are missing, out of order, or their names disagree with what they hold.",
        "etcd refuses to start: 'wal: file sequence numbers do not increase continuously'.",
        "Find the missing segment; entries before the gap can be read.";
    WalMetadata, "wal-metadata", Damage, Wal,
        "WAL segments carry different node or cluster ids: files of two members are mixed.",
        "etcd refuses to start: 'wal: conflicting metadata found'.",
        "Sort the segments by member.";
    WalEntryGap, "wal-entry-gap", Damage, Wal,
        "Raft entries are not contiguous: an index is missing between two entries.",
        "etcd 3.4 and 3.5 panic with slice bounds out of range; 3.6 refuses to start.",
        "What lies after the gap cannot be applied.";
    WalMissing, "wal-missing", Warning, Wal,
        "The directory has no WAL segment: what the database lacks cannot be told, and etcd will not start from it as this member.",
        "etcd starts as a new member with an empty log, or refuses.",
        "Find the WAL (--wal-dir of the member), or use the database as a backup that may lack the last writes.";
    WalStart, "wal-start", Damage, Wal,
        "The log begins after the entry that the database needs next, or after the one that etcd reads first: entries between them are missing.",
        "etcd refuses to start ('wal: slice bounds out of range', 'file not found'), or silently skips the missing entries.",
        "Find the older segments; where the database is past the hole, --allow-damage copies what it has and what follows.";
    DbLag, "db-lag", Note, Wal,
        "The log holds entries that the database does not: a copy of the database alone would lack them.",
        "etcd applies them when it starts.",
        "Keep the whole directory together: a copy of the db alone loses these entries.";
    DbAhead, "db-ahead", Damage, Wal,
        "The database is further than the log: they are not of the same member at the same time.",
        "etcd silently skips new entries until the log catches up.",
        "Find the log that belongs to this database, or use the database alone as a backup.";
    DbTerm, "db-term", Damage, Wal,
        "The database and the log give the last entry in the database different terms: they are not of the same member or the same time.",
        "ETCD_VERIFY refuses a term past the log's; otherwise etcd skips the log's entries up to that index, whatever they say.",
        "Find the log that belongs to this database, or use the database alone as a backup.";
    DbMissing, "db-missing", Damage, Wal,
        "The directory has a log or raft snapshots, but no database.",
        "Without a raft snapshot etcd builds the database anew from the log; with one it panics: 'failed to recover v3 backend from snapshot'.",
        "Find member/snap/db; a raft snapshot does not hold the keys. A log that is whole from its first entry does: `coldbolt copy` makes the database from it.";
    DbBehindSnapshot, "db-behind-snapshot", Damage, Wal,
        "A raft snapshot is further than the database, and no .snap.db bridges the gap.",
        "etcd panics: 'failed to recover v3 backend from snapshot'.",
        "If the log has the entries between, as the finding says then, nothing is lost: `coldbolt copy`, or copy --as data-dir. Else find the database that belongs to this snapshot.";
    WalUncommitted, "wal-uncommitted", Warning, Wal,
        "The log goes on past the last index that this member knows to be committed, and other members vote: what became of those entries is not known from here.",
        "The leader of the cluster decides when the members start: it commits them or replaces them.",
        "Copy the member whose log reaches furthest, or say --include-uncommitted to take them as committed.";
    WalShort, "wal-short", Warning, Wal,
        "The last WAL segment ends right after its last record, without the zeros that etcd reserves behind it: the file may have been cut off there.",
        "etcd starts from what is left; entries that were cut off are lost to it without a word.",
        "Compare the segment's length with that on the member: etcd makes it 64,000,000 bytes.";
    SnapDbPending, "snap-db-pending", Warning, Wal,
        "The member had received a whole database from its leader and not yet put it in the place of its own.",
        "etcd renames the .snap.db to db when it starts.",
        "Nothing to do: the received one is used here as etcd would use it.";
    DbAside, "db-aside", Warning, Wal,
        "A database beside this one goes further: the run that replaced it was killed, and an etcd that waited for the lock of the old one ran on that.",
        "It applies the log to the one that is behind; once it has taken a raft snapshot past that one it panics: 'failed to recover v3 backend from snapshot'.",
        "Stop etcd and move the file that the finding names to the place of the database: etcd wrote it last, and nothing is lost.";
    // ---- what was salvaged ---------------------------------------------------------------------------------------
    Salvaged, "salvaged", Note, Mvcc,
        "The database was made of what was left of a damaged one, so that something may be missing in it that nobody knows of.",
        "etcd does not look at where this is noted, the counter of the bucket meta, and leaves it as it is until it defragments its database.",
        "Keep what `coldbolt salvage` said was missing; take a sound backup as soon as there is one.";
    // ---- increments of etcd-backup-restore -----------------------------------------------------------------------
    IncrementInvalid, "increment-invalid", Damage, Wal,
        "An increment of etcd-backup-restore does not unpack, its SHA-256 is another one, or its changes cannot be read or cannot follow what is before them.",
        "etcd-backup-restore fails to restore the chain: 'expected sha256', 'failed to unmarshal events data'.",
        "Find another copy of that file; up to it the chain is good: `coldbolt copy DIR -o NEW.db --to-rev` with the revision before it.";
    IncrementGap, "increment-gap", Damage, Wal,
        "Revisions are missing between a full snapshot of etcd-backup-restore and the increments after it, or between two of these.",
        "etcd-backup-restore puts what follows at revisions that are too low, and then fails: 'mismatched event revision'.",
        "Find the missing increment; up to the gap the chain is good: `coldbolt copy DIR -o NEW.db --to-rev` with the revision before it.";
    IncrementName, "increment-name", Warning, Wal,
        "The name of an increment of etcd-backup-restore says other revisions than are in it, or does not go on where the file before it ends.",
        "etcd-backup-restore goes by the names, and fails to restore the chain: 'mismatched event revision'.",
        "Here the revisions in the files count, and they go on one from the other: find out who renamed it.";
    // ---- applying the log to the database ------------------------------------------------------------------------
    ReplayRefused, "replay-refused", Damage, Wal,
        "An entry of the log cannot be applied: it does not decode, is of a kind that no etcd makes, or etcd of this version panics at it.",
        "It panics when it starts, at every start.",
        "If the version is wrong, say --etcd-version; the database up to that entry can be had with --no-wal.";
    ReplayIndex, "replay-index", Note, Wal,
        "The version that wrote the database may have counted an entry as applied that it had not, or the other way round.",
        "It starts from the same count, and so has the same gap or repetition.",
        "Where 3.5.0 to 3.5.2 ran, compare the copy's HashKV with another member's before relying on it.";
    ReplayVersion, "replay-version", Warning, Wal,
        "The effect of an entry depends on the patch version of etcd, which no file tells.",
        "Members of one cluster with different patch versions differ after it.",
        "Say the version with --etcd-version, as 3.5.12.";
    ReplayFlags, "replay-flags", Note, Wal,
        "The effect of an entry depends on flags of the server, which no file tells: the shortest lease, whether the remaining time of leases is kept.",
        "It applies the entry by its flags.",
        "With the default flags nothing; else compare the lease on another member.";
    ReplayPassword, "replay-password", Warning, Wal,
        "The log holds a password in plain, as 3.4 writes it, and the database not yet its hash.",
        "Every member makes a hash with a salt of its own when it applies the entry, so their databases differ there.",
        "Nothing to do: the copy has a hash of the same password, and the user logs in with it.";
    ReplayAlarm, "replay-alarm", Warning, Wal,
        "An alarm is raised while authentication is on: up to 3.5 whether permissions are checked then depends on when the server was started.",
        "A server checks no permissions from the alarm on until it is started again; on starting it applies the log with checks.",
        "Compare the last writes with another member's if users without permission were writing.";
    ReplayTime, "replay-time", Warning, Wal,
        "Times in the objects that the log holds do not rise with the log: clocks differ, or were set back.",
        "It takes no notice: nothing in the database depends on the time of day.",
        "Compare the key and the revision that are named with what is known of that moment; --to-rev and --to-index need no time.";
    ReplayV2, "replay-v2", Warning, Wal,
        "The log holds requests of the v2 API: their data is in raft snapshots, not in the database.",
        "3.4 and 3.5 keep them in the v2 store, 3.6 and newer refuse to start on them.",
        "Export v2 data with etcd's own tools; a snapshot file cannot hold it.";
    V2Keys, "v2-keys", Warning, Wal,
        "The v2 store, which only raft snapshots hold, has keys of users: no snapshot file, copy or restore has them.",
        "3.4 and 3.5 serve them if the v2 API is on; 3.6 and newer refuse to start: 'detected disallowed custom content in v2store'.",
        "Before an upgrade to 3.6, move them to the v3 API with etcd's own tools while 3.4 or 3.5 runs, and delete them.";
    // ---- members against each other ------------------------------------------------------------------------------
    ClusterDiffers, "cluster-differs", Damage, Wal,
        "The directories are of members of different clusters: which of them is further means nothing.",
        "A member refuses messages of another cluster: 'request cluster ID mismatch'.",
        "Rank the members of one cluster at a time.";
    LogConflict, "log-conflict", Damage, Wal,
        "Two members hold different entries at an index that both know to be committed, which raft rules out.",
        "It does not notice; the members' databases go apart, until 3.5's corruption check if that is on.",
        "One of the two is of another time, was restored by itself, or lost its log: find out which before anything is copied.";
    KeyspaceDiffers, "keyspace-differs", Damage, Mvcc,
        "Members of one cluster hold different keys at the same revision.",
        "The corruption check, if it is on, raises the alarm CORRUPT; without it each member goes on answering from what it has.",
        "Compare the keys that are named, take the member that is right, and make the others anew from it.";
    // ---- Kubernetes objects --------------------------------------------------------------------------------------
    ObjectUndecodable, "object-undecodable", Damage, Objects,
        "A value begins as a Kubernetes object, in protobuf, JSON or CBOR, and cannot be one.",
        "etcd takes no notice; the API server fails to list that kind at all, with an error that may name the key.",
        "Take that key's value from another backup or an earlier revision (`coldbolt history`); deleting the key lets the API server list the rest.";
    ObjectForeign, "object-foreign", Warning, Objects,
        "A value at a key where an API server keeps an object is none: no protobuf, JSON or CBOR of Kubernetes, and not encrypted.",
        "etcd takes no notice; the API server fails to list what lies beside it if it is a kind that it serves.",
        "Find out who wrote that key: `coldbolt get` shows it, `coldbolt history` its earlier versions.";
    ObjectMisplaced, "object-misplaced", Warning, Objects,
        "An object says another group, kind, namespace or name than the key that it is stored under.",
        "etcd takes no notice; the API server finds the object by the key, and answers with what the object says.",
        "The object is what counts: see what it says with `coldbolt kube get`, and whether one is at its own key too.";
    ObjectUidTwice, "object-uid-twice", Warning, Objects,
        "Two objects have the same uid, which an API server gives once.",
        "etcd takes no notice; the garbage collector of Kubernetes takes them for one object, and may delete what either owns.",
        "One of the two was written past the API server: find out which is the copy, and make it anew through the API.";
    ObjectOwnerGone, "object-owner-gone", Note, Objects,
        "An object has an owner that is not in the file.",
        "The garbage collector of Kubernetes deletes such an object, if all its owners are gone; a snapshot may have been taken before it did.",
        "Nothing, unless the owner is wanted back: restored by itself it gets another uid, and what it owned is deleted.";
    ObjectNamespaceGone, "object-namespace-gone", Note, Objects,
        "Objects are in a namespace that is not in the file.",
        "The API server still answers them, and nothing cleans them up.",
        "Create the namespace again, or delete them, on the cluster that was restored.";
    ObjectUnknownFields, "object-unknown-fields", Note, Objects,
        "An object is of a kind, or has fields, that no Kubernetes known here has: a newer one wrote it, or it was built with other types.",
        "The API server that knows them reads them; another one drops them when it writes the object.",
        "Nothing; but a restore belongs under an API server that is not older than the one that wrote the file.";
    ObjectKeyLacking, "object-key-lacking", Note, Objects,
        "Keys for encrypted values were given, and none of that name or for that KMS key: the value was not looked into.",
        "The API server that has no such key cannot list that kind: 'no matching prefix found', or what its KMS plugin answers.",
        "Give the configuration that the file was written under; of a KMS ask the plugin for the plain key (`coldbolt kube encryption --wrapped`).";
    ObjectKeyWrong, "object-key-wrong", Warning, Objects,
        "A key of the name that an encrypted value tells was given, and with it the value does not even begin as an object.",
        "The API server with such a key cannot list that kind at all, as after a key was made anew under its old name.",
        "Look for the key that had this name when the value was written; if the key is the right one, the beginning of the value was changed.";
    ObjectMoved, "object-moved", Damage, Objects,
        "An encrypted value opens only as that of another etcd key, which its cipher authenticates: it was written for that key and moved.",
        "The API server cannot list that kind at all; whoever can write to etcd could have put one object's secret in the place of another's.",
        "Find out who wrote past the API server; the value is good at the key that is named. If all keys were renamed on purpose, say --aad-prefix.";
    ObjectCiphertext, "object-ciphertext", Damage, Objects,
        "An encrypted value does not open although its key is right: it was cut or changed.",
        "etcd takes no notice; the API server cannot list that kind at all, with an error that names the key.",
        "Take that key's value from another backup or an earlier revision; deleting the key lets the API server list the rest.";
    // ---- databases of kine -----------------------------------------------------------------------------------------
    SqlitePage, "sqlite-page", Damage, Pages,
        "A page of an SQLite database cannot be what it must be, or a row in it.",
        "kine and k3s fail with 'database disk image is malformed' when they read it, and go on with the rest.",
        "Read a copy that was made while k3s was stopped, with its -wal file beside it; what is lost may be in a backup.";
    SqliteLog, "sqlite-log", Warning, Wal,
        "The log beside an SQLite database (-wal) does not end as one that was written to its end: after a crash, or cut off in a copy.",
        "SQLite takes what was committed before that place, and drops the rest without a word.",
        "Nothing after a crash; of a copy, make another one of both files while k3s is stopped.";
    KineRow, "kine-row", Damage, Mvcc,
        "A row of kine's table holds what kine writes in none.",
        "kine fails to answer what the row is part of.",
        "See the row with the sqlite3 program in a copy; with --allow-damage it is left out.";
    // ---- raft snapshots ------------------------------------------------------------------------------------------
    SnapCrc, "snap-crc", Damage, Wal,
        "A raft snapshot file's checksum does not match its content.",
        "etcd renames the file to .broken and tries the next older one.",
        "Nothing to do if an older one or the WAL from index 0 is there.";
    SnapInvalid, "snap-invalid", Damage, Wal,
        "A raft snapshot file is empty or does not decode.",
        "etcd renames the file to .broken and tries the next older one.",
        "Nothing to do if an older one or the WAL from index 0 is there.";
    SnapMissing, "snap-missing", Warning, Wal,
        "The log records a raft snapshot whose file is not there.",
        "etcd up to 3.6 starts from an older snapshot or refuses; 3.7 does not need the file.",
        "Find the .snap file, or the older one together with the older WAL segments.";
}
