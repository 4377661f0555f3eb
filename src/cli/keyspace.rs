//! What the commands about the keyspace share: which file, at which revision, and how keys look.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use coldbolt::codec::go::{go_quote, is_print};
use coldbolt::etcd::datadir::kine_in;
use coldbolt::etcd::{DataDir, KeyRange, KeyValue, within};
use coldbolt::io::{Source, tree};
use coldbolt::kube::encryption::Keyring;
use coldbolt::ops::fold::{self, FoldInMemoryOptions, Folded, fold_in_memory};
use coldbolt::replay::apply::Version;
use coldbolt::replay::increments::Chain;
use coldbolt::store::{Store, StoreOptions, ValueOpener};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;
use coldbolt::words::monitor::Monitor;
use serde::Serialize;
use serde_json::{Map, Value};

use super::context::{Context, Done, Fail, Verdict};
use super::input;
use super::keys_given::{self, KeysGiven};
use super::progress::Terminal;

#[derive(Debug, clap::Args)]
pub struct File {
    /// Snapshot file, database, data directory (its member/snap/db, and with --fold its log), or state.db of k3s; - is
    /// standard input.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    damage: Damage,
    #[command(flatten)]
    fold: Fold,
    /// With --fold: the log, if it is kept outside the data directory.
    #[arg(long, value_name = "DIR", requires = "fold")]
    wal_dir: Option<PathBuf>,
}

/// The same, for commands that show values.
#[derive(Debug, clap::Args)]
pub struct ValueFile {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    keys: KeysGiven,
}

/// Which keys.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Print only what happened to keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<OsString>,
    /// Print only what happened to this key.
    #[arg(long, value_name = "KEY", conflicts_with = "prefix")]
    #[arg(value_parser = OsStringValueParser::new().try_map(a_key))]
    pub key: Option<OsString>,
}

/// There is no empty key.
fn a_key(key: OsString) -> Result<OsString, &'static str> {
    if key.is_empty() { Err("a key has at least one byte") } else { Ok(key) }
}

impl Which {
    /// Those that are meant; all, if nothing is said.
    pub fn range(&self) -> Option<KeyRange<'_>> {
        let prefix = self.prefix.as_ref().map(|prefix| KeyRange::prefix(prefix.as_encoded_bytes()));
        prefix.or_else(|| self.key.as_ref().map(|key| KeyRange::single(key.as_encoded_bytes())))
    }
}

#[derive(Debug, clap::Args)]
pub struct Fold {
    /// Answer as the member would after it starts again: what its log holds beyond its database is applied in memory,
    /// as `copy` does it.
    #[arg(long)]
    fold: bool,
    /// With --fold: the etcd that wrote the files, as 3.5 or 3.5.12 [default: as the files tell].
    #[arg(long, value_name = "VERSION", requires = "fold")]
    etcd_version: Option<Version>,
    /// With --fold: also apply entries that are not known to be committed, although other members vote.
    #[arg(long, requires = "fold")]
    include_uncommitted: bool,
}

impl Fold {
    /// Whether the log is applied, in all else as the files tell.
    pub fn said(fold: bool) -> Fold {
        Fold { fold, etcd_version: None, include_uncommitted: false }
    }
}

#[derive(Debug, clap::Args)]
pub struct Damage {
    /// Go on past damage and answer from what can be read: findings are still told, and the exit code is still 1.
    #[arg(long)]
    allow_damage: bool,
}

impl Damage {
    /// Damage ends the command.
    pub fn refused() -> Damage {
        Damage { allow_damage: false }
    }

    /// Whether damage is gone past.
    pub fn is_allowed(&self) -> bool {
        self.allow_damage
    }
}

/// Of which values that were read an answer is made.
#[derive(Clone, Copy)]
enum Answer {
    All,
    Some,
}

/// Whether pages that no tree holds are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    LookedAt,
    NotLookedAt,
}

/// An input that was opened.
pub struct Opened {
    what: What,
    options: StoreOptions,
}

enum What {
    File(Source),
    /// The etcd database that was made of one of kine.
    Kine(Source),
    Directory(Source, Box<DataDir>),
    Folded(Box<Folded>),
}

impl File {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something with the keyspace; damage that was heard of makes the verdict bad.
    pub fn with<'c>(
        &self,
        context: &mut Context<'c>,
        work: impl FnOnce(&Store<'_>, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        self.with_log(context, |_, store, out| work(store, out))
    }

    /// The same, for who tells what is from the log.
    pub fn with_log<'c>(
        &self,
        context: &mut Context<'c>,
        work: impl FnOnce(Option<&Folded>, &Store<'_>, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        self.with_keyring(context, None, Answer::All, |opened, store, out| work(opened.folded(), store, out))
    }

    /// As [`File::with`], for who looks also at what no key leads to any more, and is told whether that is there to be
    /// looked at: of a database of kine it is not, which is said.
    pub fn with_pages<'c>(
        &self,
        context: &mut Context<'c>,
        work: impl FnOnce(&Store<'_>, Pages, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        let monitor = context.monitor;
        self.with_keyring(context, None, Answer::All, |opened, store, out| {
            work(store, opened.pages(monitor), out)
        })
    }

    fn with_keyring<'c>(
        &self,
        context: &mut Context<'c>,
        keyring: Option<&Keyring>,
        answer: Answer,
        work: impl FnOnce(&Opened, &Store<'_>, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        let monitor = context.monitor;
        let opened = open(&self.path, &self.damage, &self.fold, self.wal_dir.as_deref(), monitor)?;
        let plain = |key: &[u8], value: &[u8]| keyring.and_then(|keyring| keyring.plain(key, value));
        let opener = keyring.map(|_| ValueOpener::new(&plain));
        let verdict = work(&opened, &opened.store_by(opener, monitor)?, context.out)?;
        opened.check_unchanged()?;
        let verdict = match (answer, verdict) {
            (Answer::Some, Verdict::Good) => verdict,
            _ => keys_given::end(keyring, verdict, monitor),
        };
        Ok(if monitor.damage() { Verdict::Bad } else { verdict })
    }
}

impl ValueFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The directory of a member, if that was given.
    pub fn data_dir(&self) -> Result<Option<DataDir>, Error> {
        let (path, wal_dir) = (self.path(), self.file.wal_dir.as_deref());
        if path == Path::new("-") {
            return Ok(None);
        }
        let path = within::find(path)?;
        if !tree::is_dir(&path) || kine_in(&path).is_some() || Chain::is_store(&path) {
            return Ok(None);
        }
        DataDir::list(&path, wal_dir).map(Some)
    }

    /// Whether keys for encrypted values were given.
    pub fn has_keys(&self) -> bool {
        self.keys.any()
    }

    /// Does something with the keyspace, as [`File::with`], in which the values that the keys open are open.
    pub fn with<'c>(
        &self,
        context: &mut Context<'c>,
        work: impl FnOnce(&Store<'_>, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        self.with_log(context, |_, store, out| work(store, out))
    }

    /// The same, for who tells what is from the log.
    pub fn with_log<'c>(
        &self,
        context: &mut Context<'c>,
        work: impl FnOnce(Option<&Folded>, &Store<'_>, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        self.with_keys(context, Answer::All, |opened, store, out| work(opened.folded(), store, out))
    }

    /// As [`File::with_pages`].
    pub fn with_pages<'c>(
        &self,
        context: &mut Context<'c>,
        work: impl FnOnce(&Store<'_>, Pages, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        let monitor = context.monitor;
        self.with_keys(context, Answer::All, |opened, store, out| work(store, opened.pages(monitor), out))
    }

    /// As [`ValueFile::with`], for who reads more values than are asked for, and says itself what lacks of these.
    pub fn with_some<'c>(
        &self,
        context: &mut Context<'c>,
        work: impl FnOnce(&Store<'_>, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        self.with_keys(context, Answer::Some, |_, store, out| work(store, out))
    }

    fn with_keys<'c>(
        &self,
        context: &mut Context<'c>,
        answer: Answer,
        work: impl FnOnce(&Opened, &Store<'_>, &mut dyn Write) -> Result<Verdict, Fail>,
    ) -> Done {
        let keyring = self.keys.keyring(context.monitor)?;
        self.file.with_keyring(context, keyring.as_ref(), answer, work)
    }
}

/// Opens the database that a path leads to, and applies its log if that is wanted.
pub fn open(
    path: &Path,
    damage: &Damage,
    fold: &Fold,
    wal_dir: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<Opened, Fail> {
    let allow_damage = damage.allow_damage;
    let options = StoreOptions { allow_damage, ..StoreOptions::default() };
    let opened = |what| Ok(Opened { what, options });
    let input = input::given(path)?;
    let stdin = input.as_open().is_some();
    if stdin && fold.fold {
        return Err(Fail::Usage(
            "--fold needs a directory or file with a log beside it, not standard input".to_owned(),
        ));
    }
    if stdin {
        return opened(file(path, allow_damage, monitor)?);
    }
    let path = input.path();
    if fold.fold || Chain::is_store(path) {
        let uncommitted = fold.include_uncommitted;
        let options = FoldInMemoryOptions {
            wal_dir,
            version: fold.etcd_version,
            uncommitted: if uncommitted { fold::Uncommitted::Include } else { fold::Uncommitted::Leave },
            damage: if allow_damage { fold::Damage::Allow } else { fold::Damage::Refuse },
            ..FoldInMemoryOptions::default()
        };
        return opened(What::Folded(Box::new(fold_in_memory(path, &options, monitor)?)));
    }
    if !tree::is_dir(path) {
        return opened(file(path, allow_damage, monitor)?);
    }
    if let Some(state) = kine_in(path) {
        return opened(file(&state, allow_damage, monitor)?);
    }
    let directory = DataDir::list(path, None)?;
    let Some(db) = &directory.db else {
        return Err(Error::unreadable(path, Cause::lacks("holds no database (member/snap/db)")).into());
    };
    opened(What::Directory(input::database(db)?, Box::new(directory)))
}

fn file(path: &Path, allow_damage: bool, monitor: &dyn Monitor) -> Result<What, Error> {
    let source = input::any_file(path)?;
    if input::is_kines(&source)? {
        return Ok(What::Kine(input::kine(path, source, allow_damage, monitor)?));
    }
    Ok(What::File(input::checked(source)?))
}

impl Opened {
    /// Whether there are pages that no tree holds; that there are none to look at is said.
    pub fn pages(&self, monitor: &Terminal) -> Pages {
        if !matches!(self.what, What::Kine(_)) {
            return Pages::LookedAt;
        }
        monitor
            .say("not looked at: free pages of SQLite, and the old values that kine keeps beside new ones");
        Pages::NotLookedAt
    }

    pub fn store<'o>(&'o self, monitor: &'o dyn Monitor) -> Result<Store<'o>, Error> {
        let source = match &self.what {
            What::File(source) | What::Kine(source) | What::Directory(source, _) => source,
            What::Folded(folded) => &folded.source,
        };
        let store = Store::open(source, &self.options, monitor)?;
        if let What::Directory(_, directory) = &self.what {
            store.warn_of_log(directory)?;
        }
        Ok(store)
    }

    /// The same, with values that are opened.
    pub fn store_by<'o>(
        &'o self,
        opener: Option<ValueOpener<'o>>,
        monitor: &'o dyn Monitor,
    ) -> Result<Store<'o>, Error> {
        let store = self.store(monitor)?;
        Ok(match opener {
            Some(opener) => store.opened_by(opener),
            None => store,
        })
    }

    pub fn folded(&self) -> Option<&Folded> {
        if let What::Folded(folded) = &self.what { Some(folded) } else { None }
    }

    /// Fails if the files are not as they were when they were opened: then the answer may be neither of then nor of
    /// now.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        match &self.what {
            What::File(source) | What::Kine(source) | What::Directory(source, _) => source
                .changed()
                .map_or(Ok(()), |what| Err(Error::unreadable(source.path(), Cause::changed(what)))),
            What::Folded(folded) => folded.check_unchanged(),
        }
    }
}

/// A failure inside a closure that a walk calls: it is kept, and the walk ends.
pub fn keep<E>(done: &mut Result<(), E>, result: Result<(), E>) -> std::ops::ControlFlow<()> {
    if result.is_err() {
        *done = result;
        return std::ops::ControlFlow::Break(());
    }
    std::ops::ControlFlow::Continue(())
}

pub fn bytes(text: &Option<OsString>) -> &[u8] {
    text.as_ref().map_or(b"", |text| text.as_encoded_bytes())
}

/// A key as one line that a terminal only prints: as it is, or quoted as Go does.
pub fn show_key(key: &[u8]) -> Cow<'_, str> {
    let plain = std::str::from_utf8(key)
        .ok()
        .filter(|text| !text.is_empty() && !text.starts_with('"') && text.chars().all(is_print));
    plain.map_or_else(|| go_quote(key).into(), Cow::from)
}

/// Text of several lines is left as it is, where nothing in it could steer a terminal; everything else is quoted.
pub fn show_value(value: &[u8]) -> Cow<'_, str> {
    let plain = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.chars().all(|c| is_print(c) || matches!(c, '\n' | '\t')));
    plain.map_or_else(|| go_quote(value).into(), Cow::from)
}

/// Refuses to put bytes that are no text on a terminal, where they do nothing but harm.
///
/// # Errors
/// [`Fail::Usage`].
pub fn refuse_terminal() -> Result<(), Fail> {
    let what = "standard output is a terminal, and this is no text: name a file, or pipe it on";
    if on_terminal() { Err(Fail::Usage(what.to_owned())) } else { Ok(()) }
}

pub fn on_terminal() -> bool {
    io::stdout().is_terminal()
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes under that name where they are UTF-8, else in base64 under `NAME_base64`.
pub fn json_bytes(item: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => item.insert(name.to_owned(), text.into()),
        Err(_) => item.insert(format!("{name}_base64"), base64(bytes).into()),
    };
}

fn zero(n: &i64) -> bool {
    *n == 0
}

/// A key and its value with the names that etcdctl gives them. Zeros and empty values are left out.
#[derive(Debug, Serialize)]
pub struct KvJson {
    #[serde(skip_serializing_if = "String::is_empty")]
    key: String,
    #[serde(skip_serializing_if = "zero")]
    create_revision: i64,
    #[serde(skip_serializing_if = "zero")]
    mod_revision: i64,
    #[serde(skip_serializing_if = "zero")]
    version: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    #[serde(skip_serializing_if = "zero")]
    lease: i64,
    /// In place of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Map<String, Value>>,
}

impl KvJson {
    pub fn of_object(kv: KeyValue<'_>, object: Map<String, Value>) -> KvJson {
        KvJson { object: Some(object), ..KvJson::from(KeyValue { value: b"", ..kv }) }
    }
}

impl From<KeyValue<'_>> for KvJson {
    fn from(kv: KeyValue<'_>) -> KvJson {
        let KeyValue { key, create_revision, mod_revision, version, value, lease } = kv;
        let (key, value) = (base64(key), base64(value));
        KvJson { key, create_revision, mod_revision, version, value, lease, object: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line_that_steers_no_terminal() {
        assert_eq!(show_key("/k/é".as_bytes()), "/k/é");
        assert_eq!(show_key(b"a\x1b[2J"), r#""a\x1b[2J""#);
        assert_eq!(show_key(b"a\nb"), r#""a\nb""#);
        assert_eq!(show_key("/名前/🔑".as_bytes()), "/名前/🔑");
        // What turns or hides text without a control character.
        assert_eq!(show_key("a\u{202e}b".as_bytes()), r#""a\u202eb""#);
        assert_eq!(show_key("a\u{200b}\u{9b}2J".as_bytes()), r#""a\u200b\u009b2J""#);
        assert_eq!(show_key(b"\xff"), r#""\xff""#);
        assert_eq!(show_key(b"\"a\""), r#""\"a\"""#);
        assert_eq!(show_key(b""), r#""""#);
        assert_eq!(show_value(b"a:\n\tb\n"), "a:\n\tb\n");
        assert_eq!(show_value(b"a\rb"), r#""a\rb""#);
    }
}
