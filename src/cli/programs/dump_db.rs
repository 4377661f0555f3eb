//! `etcd-dump-db` of etcd 3.6 (`tools/etcd-dump-db`), read-only where that one opens the file to write to it. Where it
//! panics at what it cannot decode, that is said and the next is printed.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use coldbolt::bolt::page::Header;
use coldbolt::bolt::{Bucket, Db, Page, Pgid, RawPage};
use coldbolt::codec::checksum::hex;
use coldbolt::codec::go::{go_quote, go_text};
use coldbolt::etcd::auth::{PermissionType, Role, User};
use coldbolt::etcd::lease::Lease;
use coldbolt::etcd::{BucketKey, KeyValue};
use coldbolt::io::Window;
use coldbolt::words::error::At;
use coldbolt::words::error::Error;
use coldbolt::words::finding::{Code, Finding};
use coldbolt::words::monitor::Monitor;
use prost::Message;

use super::bbolt::file::{self, Pages, refused};
use super::cobra::{self, Ways};
use super::shell::{self, Shell};
use super::{go, work};
use crate::cli::context::{Context, Done, Fail, Verdict};

#[derive(Debug, Parser)]
#[command(about = "etcd-dump-db inspects etcd db files.", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[arg(
        long,
        global = true,
        value_name = "duration",
        value_parser = go::duration,
        default_value = "10s",
        help = "time to wait to obtain a file lock on db file, 0 to block indefinitely"
    )]
    timeout: Duration,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(about = "bucket lists all buckets.")]
    #[command(display_name = "list-bucket [data dir or db file path] [flags]")]
    ListBucket(Words),
    #[command(about = "iterate-bucket lists key-value pairs in reverse order.")]
    #[command(display_name = "iterate-bucket [data dir or db file path] [bucket name] [flags]")]
    IterateBucket {
        #[command(flatten)]
        words: Words,
        #[arg(long, value_name = "uint", value_parser = go::uint, default_value = "0")]
        #[arg(help = "max number of key-value pairs to iterate (0< to iterate all)")]
        limit: u64,
        #[arg(long, help = "true to decode Protocol Buffer encoded data")]
        decode: bool,
    },
    #[command(
        about = "scan-keys scans all the key-value pairs starting from a specific revision in the key space.",
        display_name = "scan-keys [data dir or db file path] [start revision] [flags]"
    )]
    ScanKeys(Words),
    #[command(about = "hash computes the hash of db file.")]
    #[command(display_name = "hash [data dir or db file path] [flags]")]
    Hash(Words),
    #[command(
        subcommand,
        about = "Generate the autocompletion script for the specified shell",
        long_about = "Generate the autocompletion script for etcd-dump-db for the specified shell.
See each sub-command's help for details on how to use the generated script."
    )]
    Completion(Shell),
}

#[derive(Debug, Args)]
struct Words {
    words: Vec<OsString>,
}

pub fn run(words: &[OsString]) -> u8 {
    let ways = Ways { aloud: true, ..Ways::default() };
    let cli: Cli = match cobra::parse_as("etcd-dump-db", ways, words) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    // Whoever has the file is not waited for.
    let _ = cli.timeout;
    work::done(|context| dispatch(&cli.command, context))
}

fn dispatch(command: &Command, context: &mut Context<'_>) -> Done {
    match command {
        Command::ListBucket(words) => {
            let source = file::database(&words.least()?)?;
            let db = file::open(&source, context.monitor)?;
            let mut cursor = db.root();
            each(&mut cursor, false, &mut |key, _| {
                context.out.write_all(key)?;
                Ok(writeln!(context.out)?)
            })?;
        }
        Command::IterateBucket { words, limit, decode } => {
            let (path, name) = words.two()?;
            let source = file::database(&path)?;
            let db = file::open(&source, context.monitor)?;
            iterate(&db, name, *limit, *decode, context)?;
        }
        Command::ScanKeys(words) => scan(words, context)?,
        Command::Hash(words) => hash(words, context)?,
        Command::Completion(shell) => shell::completion::<Cli>("etcd-dump-db", shell, context)?,
    }
    Ok(if context.monitor.damage() { Verdict::Bad } else { Verdict::Good })
}

impl Words {
    fn shown(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    fn least(&self) -> Result<PathBuf, Fail> {
        match self.words.first() {
            Some(word) => database(word),
            None => refused("Must provide at least 1 argument (got [])"),
        }
    }

    fn two(&self) -> Result<(PathBuf, &OsString), Fail> {
        match &self.words[..] {
            [path, other] => Ok((database(path)?, other)),
            _ => refused(format!("Must provide 2 arguments (got [{}])", self.shown())),
        }
    }
}

/// The database that a word names: a data directory, unless it ends in "db".
fn database(word: &OsString) -> Result<PathBuf, Fail> {
    let path = PathBuf::from(word);
    let path = if word.as_encoded_bytes().ends_with(b"db") { path } else { path.join("member/snap/db") };
    if path.metadata().is_err() {
        return refused(format!("{} does not exist", file::quoted(&path)));
    }
    Ok(path)
}

type Each<'e> = &'e mut dyn FnMut(&[u8], &[u8]) -> Result<(), Fail>;

/// Each element of a bucket, the last one first if `back`.
fn each(bucket: &mut Bucket<'_, '_>, back: bool, each: Each<'_>) -> Result<(), Fail> {
    let path = bucket.db().source().path();
    let mut cursor = bucket.cursor();
    let mut item = if back { cursor.last() } else { cursor.first() };
    while let Some(found) = item.map_err(|corrupt| Error::damaged(path, corrupt))? {
        each(found.key, if found.is_bucket { &[] } else { found.value })?;
        item = if back { cursor.prev() } else { cursor.next() };
    }
    Ok(())
}

fn iterate(
    db: &Db<'_>,
    name: &OsString,
    limit: u64,
    decode: bool,
    context: &mut Context<'_>,
) -> Result<(), Fail> {
    let bucket = db.root().bucket(name.as_encoded_bytes());
    let bucket = bucket.map_err(|corrupt| Error::damaged(db.source().path(), corrupt))?;
    let Some(bucket) = bucket else {
        return refused(format!("got nil bucket for {}", name.to_string_lossy()));
    };
    let decoder = decode.then(|| decoder(name.as_encoded_bytes())).flatten().unwrap_or(plain);
    let mut left = limit;
    let mut cursor = bucket.cursor();
    let damaged = |corrupt| Error::damaged(db.source().path(), corrupt);
    let mut item = cursor.last().map_err(damaged)?;
    while let Some(found) = item {
        let value = if found.is_bucket { &[][..] } else { found.value };
        line(decoder, found.key, value, "", context)?;
        left = left.wrapping_sub(1);
        if left == 0 {
            break;
        }
        item = cursor.prev().map_err(damaged)?;
    }
    Ok(())
}

type Decoder = fn(&[u8], &[u8]) -> Result<String, String>;

/// A line, or to the standard error why there is none.
fn line(decoder: Decoder, key: &[u8], value: &[u8], head: &str, context: &mut Context<'_>) -> io::Result<()> {
    match decoder(key, value) {
        Ok(text) => writeln!(context.out, "{head}{text}"),
        Err(why) => {
            let what = format!("key {} cannot be decoded: {why}", go_quote(key));
            context.monitor.finding(Finding::new(Code::ValueUndecodable, "", At::default(), what));
            Ok(())
        }
    }
}

fn decoder(bucket: &[u8]) -> Option<Decoder> {
    Some(match bucket {
        b"key" => revision,
        b"lease" => lease,
        b"auth" => auth,
        b"authRoles" => role,
        b"authUsers" => user,
        b"meta" => meta,
        _ => return None,
    })
}

fn plain(key: &[u8], value: &[u8]) -> Result<String, String> {
    Ok(format!("key={}, value={}", go_quote(key), go_quote(value)))
}

fn revision(key: &[u8], value: &[u8]) -> Result<String, String> {
    let at = BucketKey::parse(key).map_err(|why| why.to_string())?;
    let kv = KeyValue::decode(value).map_err(|why| format!("it is wrong at byte {}", why.0))?;
    Ok(format!(
        "rev={{Revision:{{Main:{} Sub:{}}} tombstone:{}}}, value=[key {} | val {} | created {} | mod {} | ver {}]",
        at.revision.main,
        at.revision.sub,
        at.tombstone,
        go_quote(kv.key),
        go_quote(kv.value),
        kv.create_revision,
        kv.mod_revision,
        kv.version
    ))
}

fn number(bytes: &[u8]) -> Result<u64, String> {
    let first = bytes.first_chunk().ok_or_else(|| format!("8 bytes are due, there are {}", bytes.len()))?;
    Ok(u64::from_be_bytes(*first))
}

fn lease(key: &[u8], value: &[u8]) -> Result<String, String> {
    let id = number(key).ok().filter(|_| key.len() == 8).ok_or("lease ID must be 8-byte")?.cast_signed();
    let lease = Lease::decode(value).map_err(|why| why.to_string())?;
    let id = if id < 0 { format!("-{:015x}", id.unsigned_abs()) } else { format!("{id:016x}") };
    Ok(format!("lease ID={id}, TTL={}s, remaining TTL={}s", lease.ttl, lease.remaining_ttl))
}

fn auth(key: &[u8], value: &[u8]) -> Result<String, String> {
    let shown = if key == b"authRevision" {
        number(value)?.to_string()
    } else {
        let bytes: Vec<_> = value.iter().map(u8::to_string).collect();
        format!("[{}]", bytes.join(" "))
    };
    Ok(format!("key={}, value={shown}", go_quote(key)))
}

fn role(_: &[u8], value: &[u8]) -> Result<String, String> {
    let role = Role::decode(value).map_err(|why| why.to_string())?;
    let permissions = role.key_permission.iter().map(|permission| {
        let kind = match permission.perm_type() {
            PermissionType::Read => "",
            PermissionType::Write => "permType:WRITE ",
            PermissionType::ReadWrite => "permType:READWRITE ",
        };
        let bytes = |name: &str, bytes: &[u8]| match bytes {
            [] => String::new(),
            bytes => format!("{name}:{} ", proto_text(bytes)),
        };
        let (key, end) = (bytes("key", &permission.key), bytes("range_end", &permission.range_end));
        format!("{kind}{key}{end}")
    });
    let permissions: Vec<_> = permissions.collect();
    Ok(format!("role={}, keyPermission=[{}]", go_quote(&role.name), permissions.join(" ")))
}

/// Bytes as gogo's text format quotes them (`proto/text.go writeString`).
fn proto_text(bytes: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'"' => "\\\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(*byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    format!("\"{}\"", bytes.iter().map(byte).collect::<String>())
}

fn user(_: &[u8], value: &[u8]) -> Result<String, String> {
    let user = User::decode(value).map_err(|why| why.to_string())?;
    let roles: Vec<_> = user.roles.iter().map(|role| go_quote(role)).collect();
    let options = match &user.options {
        None => "<nil>",
        Some(options) if options.no_password => "no_password:true ",
        Some(_) => "",
    };
    Ok(format!("user={}, roles=[{}], option={options}", go_quote(&user.name), roles.join(" ")))
}

fn meta(key: &[u8], value: &[u8]) -> Result<String, String> {
    match key {
        b"consistent_index" | b"term" => Ok(format!("key={}, value={}", go_quote(key), number(value)?)),
        b"scheduledCompactRev" | b"finishedCompactRev" => {
            let at = BucketKey::parse(value).map_err(|why| why.to_string())?.revision;
            Ok(format!("key={}, value={{{} {}}}", go_quote(key), at.main, at.sub))
        }
        _ => plain(key, value),
    }
}

/// `scanKeys`: every leaf page, whatever holds it.
fn scan(words: &Words, context: &mut Context<'_>) -> Result<(), Fail> {
    let (path, from) = words.two()?;
    let from = base_ten(from)?;
    let pages = Pages::open(file::there(&path)?)
        .map_err(|why| Fail::Refused(format!("failed to read page and HWM size: {why}")))?;
    let end = pages.high.min(pages.source.len() / pages.page_size.max(1) + 1);
    let mut window = Window::new();
    let mut id = 2;
    while id < end {
        match leaf(&pages, id, &mut window) {
            Ok(None) => id += 1,
            Ok(Some(raw)) => {
                let run = u64::from(raw.header.overflow) + 1;
                if let Some(page) = raw.page {
                    scan_page(&page, raw.header.count, from, context)?;
                }
                id += run;
            }
            Err(why) => {
                context.monitor.say(&format!("Reading page {id} failed: {why}. Continuting..."));
                id += 1;
            }
        }
    }
    Ok(())
}

/// `strconv.ParseInt` with base 10.
fn base_ten(word: &OsString) -> Result<i64, Fail> {
    let text = word.to_string_lossy();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let why = if number { "value out of range" } else { "invalid syntax" };
    let parsed = text.parse().ok().filter(|_| number);
    parsed.map_or_else(
        || refused(format!("strconv.ParseInt: parsing {}: {why}", go_quote(word.as_encoded_bytes()))),
        Ok,
    )
}

/// A leaf page with its overflow; `None` for any other.
fn leaf<'w>(pages: &'w Pages, id: u64, window: &'w mut Window) -> Result<Option<RawPage<'w>>, String> {
    let offset = pages.place(id)?;
    let mut bytes = [0; 16];
    pages.source.read_exact_at(offset, &mut bytes).map_err(|corrupt| corrupt.detail)?;
    let header = Header::parse(&bytes).ok_or("EOF")?;
    if header.id.0 != id {
        return Err(format!("unexpected page id: {}, wanted: {id}", header.id));
    }
    if (u64::from(header.overflow) + 1).saturating_mul(pages.page_size) > pages.source.len() - offset {
        return Err("EOF".to_owned());
    }
    if header.flags != 2 {
        return Ok(None);
    }
    let read = RawPage::read(&pages.source, pages.page_size, Pgid(id), window);
    read.map(Some).map_err(|corrupt| corrupt.detail)
}

/// Buckets of etcd: a page with one of these as a key is one of the root.
const BUCKETS: [&[u8]; 10] = [
    b"alarm",
    b"auth",
    b"authRoles",
    b"authUsers",
    b"cluster",
    b"key",
    b"lease",
    b"members",
    b"members_removed",
    b"meta",
];

fn scan_page(page: &Page<'_>, count: u16, from: i64, context: &mut Context<'_>) -> io::Result<()> {
    let mut budget = page.budget();
    for index in 0..page.count {
        let failed = |what: &str| {
            let (page, what) = (page.id, go_text(what.as_bytes()));
            context.monitor.say(&format!("Decoding revision failed, pageID: {page}, index: {index}, {what}"));
        };
        let element = match page.leaf(index) {
            Ok(element) => element,
            Err(corrupt) => {
                failed(&format!("error: {}", corrupt.detail));
                continue;
            }
        };
        if !budget.spend(element.key.len() + element.value.len()) {
            failed("error: elements lie over one another");
            break;
        }
        let at = match BucketKey::parse(element.key) {
            Ok(at) => at,
            Err(_) if BUCKETS.contains(&element.key) => break,
            Err(why) => {
                failed(&format!("key: {}, error: {why}", hex(element.key)));
                continue;
            }
        };
        if from != 0 && at.revision.main < from {
            continue;
        }
        let head = format!("pageID={}, index={index}/{}, ", page.id, count - 1);
        line(revision, element.key, element.value, &head, context)?;
    }
    Ok(())
}

/// CRC-32C over names of buckets, keys and values, but for what may differ between members (`schema.DefaultIgnores`).
fn hash(words: &Words, context: &mut Context<'_>) -> Result<(), Fail> {
    let path = words.least()?;
    let source = file::database(&path)?;
    let db = file::open(&source, context.monitor)?;
    let mut names = Vec::new();
    each(&mut db.root(), false, &mut |key, _| {
        names.push(key.to_vec());
        Ok(())
    })?;
    let mut crc = 0;
    let add = coldbolt::codec::checksum::crc32c;
    for name in names {
        let bucket = db.root().bucket(&name).map_err(|corrupt| Error::damaged(source.path(), corrupt))?;
        let Some(mut bucket) = bucket else {
            return refused(format!("cannot get hash of bucket {}", go_text(&name)));
        };
        crc = add(crc, &name);
        let ignored: [&[u8]; 3] = [b"term", b"consistent_index", b"storageVersion"];
        each(&mut bucket, false, &mut |key, value| {
            if name != b"meta" || !ignored.contains(&key) {
                crc = add(add(crc, key), value);
            }
            Ok(())
        })?;
    }
    Ok(write!(context.out, "db path: {}\nHash: {crc}\n", path.display())?)
}
