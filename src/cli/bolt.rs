//! `coldbolt bolt`: buckets, keys and pages of a bbolt file, as bbolt's own command prints them (1.4.3 and 1.5.0).

mod common;
mod page;
mod surgery;

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;

use clap::{Subcommand, ValueEnum};
use coldbolt::bolt::{Bucket, Db, LeafElement, Page, Pgid, Root};
use coldbolt::io::{Source, Window};
use coldbolt::ops::bolt::{Use, bucket_at, elements, page_use, value_of};
use coldbolt::words::error::Error;
use coldbolt::words::finding::Finding;
use coldbolt::words::monitor::Monitor;
use serde_json::{Value, json};

use self::common::{File, Out, Written};
pub use self::page::kind as page_kind;
use super::context::{Context, Done, Fail, Verdict};
use super::format::Format;
use super::input;
use super::out::{List, Listing};

impl Command {
    /// Whether it writes a file.
    pub fn writes(&self) -> bool {
        matches!(self, Command::Surgery(_))
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Buckets(BucketsArgs),
    Keys(KeysArgs),
    Get(GetArgs),
    Pages(PagesArgs),
    Page(page::PageArgs),
    PageItem(page::ItemArgs),
    Surgery(surgery::Args),
}

/// Print the names of the buckets, or of those inside a bucket.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt bolt buckets backup.db
  coldbolt bolt buckets backup.db -w json")]
pub struct BucketsArgs {
    #[command(flatten)]
    file: File,
    /// Names of buckets from the top down; none for the root.
    #[arg(value_name = "BUCKET")]
    buckets: Vec<OsString>,
    #[command(flatten)]
    listing: Written,
}

/// Print the keys of a bucket, one a line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt bolt keys backup.db key
  coldbolt bolt keys any.db outer inner --format ascii-encoded")]
pub struct KeysArgs {
    #[command(flatten)]
    file: File,
    /// Names of buckets from the top down.
    #[arg(value_name = "BUCKET", required = true)]
    buckets: Vec<OsString>,
    /// How to print a key.
    #[arg(short, long, value_enum, default_value = "auto")]
    format: Format,
    #[command(flatten)]
    listing: Written,
}

/// Print the value of a key.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "coldbolt bolt get [OPTIONS] <FILE> <BUCKET>... <KEY>",
    after_help = "\
Examples:
  coldbolt bolt get backup.db cluster clusterVersion
  coldbolt bolt get backup.db key 00000000000000025f0000000000000000 --parse-format hex"
)]
pub struct GetArgs {
    #[command(flatten)]
    file: File,
    /// Names of buckets from the top down, then the key.
    #[arg(value_names = ["BUCKET", "KEY"], num_args = 2.., required = true)]
    words: Vec<OsString>,
    /// How to print the value.
    #[arg(long, value_enum, default_value = "auto")]
    format: Format,
    /// How the key is written.
    #[arg(long, value_enum, default_value = "ascii-encoded", value_name = "FORMAT")]
    parse_format: ParseFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ParseFormat {
    /// As it is.
    AsciiEncoded,
    /// In hexadecimal.
    Hex,
}

/// Print a table of all pages: number, type, elements, overflow pages.
///
/// A page is free when the file's freelist has it; in a file without one, as etcd writes them, when no tree has it.
/// Where damage hides part of a tree, the type of a page that no readable tree has is followed by a question mark, if
/// it has one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt bolt pages backup.db
  coldbolt bolt pages backup.db -w ndjson | jq 'select(.use == \"lost\")'")]
pub struct PagesArgs {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    listing: Written,
}

pub fn run(command: &Command, context: &mut Context<'_>) -> Done {
    if let Command::Surgery(args) = command {
        return surgery::run(args, context);
    }
    let monitor = context.monitor;
    let out = &mut *context.out;
    match command {
        Command::Surgery(_) => {}
        Command::Buckets(args) => buckets(args, out, monitor)?,
        Command::Keys(args) => keys(args, out, monitor)?,
        Command::Get(args) => get(args, out, monitor)?,
        Command::Pages(args) => pages(args, out, monitor)?,
        Command::Page(args) => page::pages(args, out, monitor)?,
        Command::PageItem(args) => page::item(args, out, monitor)?,
    }
    Ok(if monitor.damage() { Verdict::Bad } else { Verdict::Good })
}

/// Opens the tree of a file. A bad meta page is told: the other one may be a commit older.
fn open<'s>(source: &'s Source, monitor: &dyn Monitor) -> Result<Db<'s>, Error> {
    let db = Db::open(source).map_err(|c| Error::damaged(source.path(), c))?;
    db.meta_faults().for_each(|fault| monitor.finding(Finding::from_corrupt(&source.name(), fault)));
    Ok(db)
}

fn bucket<'d, 's>(db: &'d Db<'s>, names: &[OsString]) -> Result<Bucket<'d, 's>, Error> {
    let names: Vec<&[u8]> = names.iter().map(|name| name.as_encoded_bytes()).collect();
    bucket_at(db, &names)
}

/// Writes something for each element of a bucket; a writer that fails ends the walk.
fn for_each(
    bucket: &Bucket<'_, '_>,
    monitor: &dyn Monitor,
    mut write: impl FnMut(&Page<'_>, &LeafElement<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = Ok(());
    elements(bucket, monitor, &mut |page, element| {
        done = write(page, element);
        if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    done
}

fn buckets(args: &BucketsArgs, out: Out<'_>, monitor: &dyn Monitor) -> Result<(), Fail> {
    let source = input::database(&args.file.path)?;
    let db = open(&source, monitor)?;
    let within = bucket(&db, &args.buckets)?;
    let mut list =
        List::begin(out, args.listing.write_out, "coldbolt.bolt-buckets/1", &source.name(), "buckets")?;
    for_each(&within, monitor, |page, element| {
        if !element.is_bucket {
            return Ok(());
        }
        let name = Format::Auto.show(element.key);
        let item = match Bucket::parse(&db, page, element) {
            Ok(bucket) => json!({"name": name, "bucket": header(&bucket), "page": page.id}),
            Err(corrupt) => {
                monitor.finding(Finding::from_corrupt(&source.name(), *corrupt));
                json!({"name": name, "page": page.id})
            }
        };
        list.item(&item, |out| {
            name.write(out)?;
            out.write_all(b"\n")
        })
    })?;
    Ok(list.end()?)
}

/// What a bucket's header says; an inline bucket has no root page.
fn header(bucket: &Bucket<'_, '_>) -> Value {
    let root = match bucket.root {
        Root::Tree(root) => Some(root),
        Root::Inline { .. } => None,
    };
    json!({"root": root, "sequence": bucket.sequence})
}

fn keys(args: &KeysArgs, out: Out<'_>, monitor: &dyn Monitor) -> Result<(), Fail> {
    let source = input::database(&args.file.path)?;
    let db = open(&source, monitor)?;
    let bucket = bucket(&db, &args.buckets)?;
    let mut list = List::begin(out, args.listing.write_out, "coldbolt.bolt-keys/1", &source.name(), "keys")?;
    for_each(&bucket, monitor, |_, element| {
        let key = args.format.show(element.key);
        list.item(&json!({"key": key, "bucket": element.is_bucket}), |out| {
            key.write(out)?;
            out.write_all(b"\n")
        })
    })?;
    Ok(list.end()?)
}

fn get(args: &GetArgs, out: Out<'_>, monitor: &dyn Monitor) -> Result<(), Fail> {
    let Some((key, names)) = args.words.split_last() else {
        return Err(Fail::Usage("bucket and key are required".to_owned()));
    };
    let key = match args.parse_format {
        ParseFormat::AsciiEncoded => key.as_encoded_bytes().to_vec(),
        ParseFormat::Hex => unhex(key.as_encoded_bytes()).ok_or_else(|| {
            Fail::Usage(format!("the key is not hexadecimal: {}", key.as_encoded_bytes().escape_ascii()))
        })?,
    };
    let source = input::database(&args.file.path)?;
    let db = open(&source, monitor)?;
    let value = value_of(&bucket(&db, names)?, &key)?;
    args.format.show(&value).write(out)?;
    Ok(writeln!(out)?)
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |d: u8| char::from(d).to_digit(16);
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn pages(args: &PagesArgs, out: Out<'_>, monitor: &dyn Monitor) -> Result<(), Fail> {
    let source = input::database(&args.file.path)?;
    let db = open(&source, monitor)?;
    let uses = page_use(&db, monitor)?;
    let listing = args.listing.write_out;
    if listing == Listing::Simple {
        writeln!(out, "ID       TYPE       ITEMS  OVRFLW\n======== ========== ====== ======")?;
    }
    let mut list = List::begin(out, listing, "coldbolt.bolt-pages/1", &source.name(), "pages")?;
    let mut window = Window::new();
    let mut id = 0;
    while id < db.pages_present() {
        let (offset, purpose) = (db.offset_of(Pgid(id)), uses.of(Pgid(id)));
        let header = match db.header(Pgid(id), &mut window) {
            Ok(header) => header,
            Err(corrupt) => {
                monitor.finding(Finding::from_corrupt(&source.name(), *corrupt));
                list.item(&json!({"id": id, "use": purpose}), |out| {
                    writeln!(out, "{id:<8} {:<10} {:<6} {:<6}", "unreadable", "", "")
                })?;
                id += 1;
                continue;
            }
        };
        // Outside the trees a header is whatever was left there.
        let own = header.check(Pgid(id), offset).is_ok();
        let counted = purpose == Use::Used || (purpose == Use::Lost && own);
        let kind = match purpose {
            Use::Free => Some("free".to_owned()),
            Use::Used => Some(page::kind(&header)),
            Use::Lost => Some(page::kind(&header)).filter(|_| own),
        };
        let doubt = if purpose == Use::Lost && !(own && uses.complete) { "?" } else { "" };
        let overflow = if purpose == Use::Used { header.overflow } else { 0 };
        let item = json!({
            "id": id,
            "type": kind,
            "use": purpose,
            "items": counted.then_some(header.count),
            "overflow": counted.then_some(header.overflow),
        });
        list.item(&item, |out| {
            let count = if counted { header.count.to_string() } else { String::new() };
            let overflow =
                if counted && header.overflow > 0 { header.overflow.to_string() } else { String::new() };
            let kind = kind.unwrap_or_default() + doubt;
            writeln!(out, "{id:<8} {kind:<10} {count:<6} {overflow:<6}")
        })?;
        id += 1 + u64::from(overflow);
    }
    Ok(list.end()?)
}
