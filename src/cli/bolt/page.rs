//! `bolt page` and `bolt page-item`: single pages, also of files whose meta pages are gone.

use std::io;

use coldbolt::bolt::page::Header;
use coldbolt::bolt::{Db, Meta, Page, PageKind, Pgid, RawPage, freelist};
use coldbolt::codec::array_at;
use coldbolt::io::{Source, Window};
use coldbolt::ops::bolt::{PageUse, Use, page_use};
use coldbolt::words::error::{Corrupt, Error};
use coldbolt::words::finding::{Code, Finding};
use coldbolt::words::monitor::Monitor;
use serde::Serialize;

use super::common::{File, Out, Written, label};
use crate::cli::context::Fail;
use crate::cli::format::{Format, Shown};
use crate::cli::input;
use crate::cli::out::List;

/// Print pages: header, then keys and values, child pages, meta fields or free pages.
///
/// Damaged pages are shown as far as they can be read, with what is wrong in place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt bolt page backup.db 0 1
  coldbolt bolt page backup.db --all --format-value redacted
  coldbolt bolt page broken.db --page-size 4096 --all")]
pub struct PageArgs {
    #[command(flatten)]
    file: File,
    /// Page numbers.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<u64>,
    /// Print all pages. A free page is printed as it was when it was last in use, if that can still be told.
    #[arg(long)]
    all: bool,
    /// How to print values.
    #[arg(long, value_enum, default_value = "auto", value_name = "FORMAT")]
    format_value: Format,
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    listing: Written,
}

/// Print the key and the value of one element of a leaf page.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt bolt page-item backup.db 7 0 --key-only --format hex")]
pub struct ItemArgs {
    #[command(flatten)]
    file: File,
    /// Page number.
    #[arg(value_name = "PAGE")]
    id: u64,
    /// Element of the page, counted from 0.
    #[arg(value_name = "ITEM")]
    item: usize,
    /// Print only the key.
    #[arg(long, conflicts_with = "value_only")]
    key_only: bool,
    /// Print only the value.
    #[arg(long)]
    value_only: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value = "auto")]
    format: Format,
    #[command(flatten)]
    size: Size,
}

#[derive(Debug, clap::Args)]
struct Size {
    /// Bytes in a page, for files without a good meta page: page N is read at N times this.
    #[arg(long, value_name = "BYTES", value_parser = possible_size)]
    page_size: Option<u32>,
}

fn possible_size(text: &str) -> Result<u32, &'static str> {
    let size = text.parse().ok().filter(|size: &u32| size.is_power_of_two() && (1024..=65536).contains(size));
    size.ok_or("a power of two from 1024 to 65536 is due")
}

/// The type as bbolt names it.
pub fn kind(header: &Header) -> String {
    PageKind::from_flags(header.flags)
        .map_or_else(|| format!("unknown<{:02x}>", header.flags), |kind| kind.name().to_owned())
}

fn source(file: &File, size: &Size) -> Result<Source, Error> {
    match size.page_size {
        // Nothing in the file needs to be recognisable then.
        Some(_) => input::refuse_locked(input::any_file(&file.path)?),
        None => input::database(&file.path),
    }
}

fn page_size(source: &Source, size: &Size) -> Result<u64, Error> {
    match size.page_size {
        Some(size) => Ok(u64::from(size)),
        None => open(source).map(|db| db.page_size()),
    }
}

fn open(source: &Source) -> Result<Db<'_>, Error> {
    Db::open(source).map_err(|mut corrupt| {
        corrupt
            .detail
            .push_str(". Single pages can still be read: say how big they are, as in --page-size 4096");
        Error::damaged(source.path(), corrupt)
    })
}

pub fn pages(args: &PageArgs, out: Out<'_>, monitor: &dyn Monitor) -> Result<(), Fail> {
    let source = source(&args.file, &args.size)?;
    let list =
        |out| List::begin(out, args.listing.write_out, "coldbolt.bolt-page/1", &source.name(), "pages");
    let mut printer =
        Printer { source: &source, format: args.format_value, monitor, page_size: 0, window: Window::new() };
    if !args.all {
        printer.page_size = page_size(&source, &args.size)?;
        let mut list = list(out)?;
        for (index, id) in args.ids.iter().enumerate() {
            printer.print(*id, None, index > 0, &mut list)?;
        }
        return Ok(list.end()?);
    }
    let db = if args.size.page_size.is_none() { Some(open(&source)?) } else { None };
    let uses = db.as_ref().map(|db| page_use(db, monitor)).transpose()?;
    printer.page_size = page_size(&source, &args.size)?;
    let end = db.map_or(source.len() / printer.page_size, |db| db.pages_present());
    let mut list = list(out)?;
    let mut id = 0;
    while id < end {
        id += printer.print(id, uses.as_ref(), id > 0, &mut list)?;
    }
    Ok(list.end()?)
}

pub fn item(args: &ItemArgs, out: Out<'_>, _: &dyn Monitor) -> Result<(), Fail> {
    let source = source(&args.file, &args.size)?;
    let damaged = |c| Error::damaged(source.path(), c);
    let mut window = Window::new();
    let raw = RawPage::read(&source, page_size(&source, &args.size)?, Pgid(args.id), &mut window)
        .map_err(damaged)?;
    if let Some(fault) = raw.faults.first() {
        return Err(damaged(Box::new(fault.clone())).into());
    }
    let refuse = |what: String| Fail::Refused(format!("{}: page {}: {what}", source.name(), args.id));
    let page = raw.page.filter(|page| page.kind == PageKind::Leaf);
    let page =
        page.ok_or_else(|| refuse(format!("it is a {} page, items are in leaf pages", kind(&raw.header))))?;
    let loose = page
        .loose_leaf(args.item)
        .ok_or_else(|| refuse(format!("there is no item {}, the page has {}", args.item, page.count)))?;
    for part in
        [loose.key.filter(|_| !args.value_only), loose.value.filter(|_| !args.key_only)].into_iter().flatten()
    {
        args.format.show(part).write(out)?;
        writeln!(out)?;
    }
    let missing = (loose.key.is_none() && !args.value_only) || (loose.value.is_none() && !args.key_only);
    if missing {
        Err(page
            .leaf(args.item)
            .map_err(damaged)
            .err()
            .map_or_else(|| refuse("unreadable".to_owned()), Fail::from))
    } else {
        Ok(())
    }
}

/// A page as it will be printed.
#[derive(Serialize)]
struct View {
    id: u64,
    offset: u64,
    #[serde(rename = "type")]
    kind: Option<String>,
    size: usize,
    overflow: u32,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    purpose: Option<Use>,
    #[serde(flatten)]
    body: Body,
    faults: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Body {
    Meta(MetaView),
    Items(Vec<Item>),
    Free {
        count: u64,
        ids: Vec<Pgid>,
    },
    #[serde(untagged)]
    Nothing {},
}

#[derive(Serialize)]
struct MetaView {
    version: u32,
    page_size: u32,
    flags: u32,
    root: u64,
    freelist: Option<u64>,
    high_water: u64,
    txid: u64,
    checksum: String,
}

#[derive(Serialize)]
struct Item {
    key: Option<Shown>,
    #[serde(skip)]
    label: String,
    #[serde(flatten)]
    holds: Holds,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Holds {
    Value(Shown),
    Bucket { root: u64, sequence: u64 },
    Child(Pgid),
    Damage(String),
}

struct Printer<'p> {
    source: &'p Source,
    format: Format,
    monitor: &'p dyn Monitor,
    page_size: u64,
    window: Window,
}

impl Printer<'_> {
    /// Prints page `id`; with `uses` because it is its turn, and what is left in a free page need not be whole.
    /// Returns how many pages that were.
    fn print(
        &mut self,
        id: u64,
        uses: Option<&PageUse>,
        separate: bool,
        list: &mut List<'_>,
    ) -> Result<u64, Fail> {
        let purpose = uses.map_or(Use::Used, |uses| uses.of(Pgid(id)));
        let mut view = self.view(id, purpose);
        view.purpose = uses.map(|_| purpose);
        // The walk that learnt the uses has told what is wrong with the trees.
        for finding in view.faults.iter().filter(|_| uses.is_none() || id < 2) {
            self.monitor.finding(finding.clone());
        }
        list.item(&view, |out| {
            if separate {
                writeln!(out, "===============================================")?;
            }
            simple(&view, out)
        })?;
        if !view.faults.is_empty() {
            return Ok(1);
        }
        // A page in use owns the pages behind it. Behind a free one only those are passed over that hold nothing else
        // by now.
        let overflow = u64::from(view.overflow);
        let idle = |id: u64| uses.is_some_and(|uses| uses.of(Pgid(id)) != Use::Used) && !self.is_page(id);
        let passed = (1..=overflow).take_while(|ahead| purpose == Use::Used || idle(id + ahead)).count();
        Ok(1 + passed as u64)
    }

    /// Whether page `id` starts with a header of its own.
    fn is_page(&self, id: u64) -> bool {
        let offset = id.saturating_mul(self.page_size);
        let mut header = [0; 16];
        let read = self.source.read_exact_at(offset, &mut header).is_ok();
        read && Header::parse(&header).is_some_and(|header| header.check(Pgid(id), offset).is_ok())
    }

    fn view(&mut self, id: u64, purpose: Use) -> View {
        let file = self.source.name();
        let offset = id.saturating_mul(self.page_size);
        let mut view = View {
            id,
            offset,
            kind: None,
            size: 0,
            overflow: 0,
            purpose: None,
            body: Body::Nothing {},
            faults: Vec::new(),
        };
        let raw = match RawPage::read(self.source, self.page_size, Pgid(id), &mut self.window) {
            Ok(raw) => raw,
            Err(corrupt) => {
                view.faults.push(Finding::from_corrupt(&file, *corrupt));
                return view;
            }
        };
        if purpose != Use::Used && !raw.faults.is_empty() {
            let kind = if purpose == Use::Free { "free" } else { "?" };
            return View { kind: Some(kind.to_owned()), size: raw.bytes.len(), ..view };
        }
        view.kind = Some(kind(&raw.header));
        view.size = raw.bytes.len();
        view.overflow = raw.header.overflow;
        let mut faults = raw.faults;
        if let Some(page) = raw.page {
            view.body = match page.kind {
                PageKind::Meta => meta(&page, &mut faults),
                PageKind::Leaf => Body::Items(
                    (0..page.count).map(|i| leaf_item(&page, i, self.format, &mut faults)).collect(),
                ),
                PageKind::Branch => {
                    Body::Items((0..page.count).map(|i| branch_item(&page, i, &mut faults)).collect())
                }
                PageKind::Freelist => free(&page, &mut faults),
            };
        }
        if purpose == Use::Used {
            view.faults = faults.into_iter().map(|fault| Finding::from_corrupt(&file, fault)).collect();
        }
        view
    }
}

fn meta(page: &Page<'_>, faults: &mut Vec<Corrupt>) -> Body {
    if let Err((why, _)) = Meta::parse(page.bytes) {
        faults.push(*Corrupt::new(Code::MetaInvalid, page.at(), why));
    }
    let u32_at = |at| array_at(page.bytes, at).map_or(0, u32::from_le_bytes);
    let u64_at = |at| array_at(page.bytes, at).map_or(0, u64::from_le_bytes);
    Body::Meta(MetaView {
        version: u32_at(20),
        page_size: u32_at(24),
        flags: u32_at(28),
        root: u64_at(32),
        freelist: Some(u64_at(48)).filter(|id| *id != coldbolt::bolt::meta::NO_FREELIST),
        high_water: u64_at(56),
        txid: u64_at(64),
        checksum: format!("{:016x}", u64_at(72)),
    })
}

fn leaf_item(page: &Page<'_>, index: usize, format: Format, faults: &mut Vec<Corrupt>) -> Item {
    let loose = page.loose_leaf(index);
    let key = loose.and_then(|element| element.key);
    let mut damage = |corrupt: Box<Corrupt>| {
        let text = format!("{} [{}]", corrupt.detail, corrupt.code);
        faults.push(*corrupt);
        Holds::Damage(text)
    };
    let holds = match (page.leaf(index), loose) {
        (Ok(element), _) if element.is_bucket => bucket_header(element.value).map_or_else(
            || {
                let what =
                    format!("a bucket's value has at least 16 bytes, this one has {}", element.value.len());
                damage(Corrupt::new(Code::BucketHeader, page.at().element(index).bucket(element.key), what))
            },
            |(root, sequence)| Holds::Bucket { root, sequence },
        ),
        (Ok(element), _) => Holds::Value(format.show(element.value)),
        (Err(corrupt), _) => damage(corrupt),
    };
    Item {
        key: key.map(|key| Format::Auto.show(key)),
        label: key.map_or_else(|| format!("<element {index}>"), label),
        holds,
    }
}

fn bucket_header(value: &[u8]) -> Option<(u64, u64)> {
    Some((u64::from_le_bytes(array_at(value, 0)?), u64::from_le_bytes(array_at(value, 8)?)))
}

fn branch_item(page: &Page<'_>, index: usize, faults: &mut Vec<Corrupt>) -> Item {
    match page.branch(index) {
        Ok(element) => Item {
            key: Some(Format::Auto.show(element.key)),
            label: label(element.key),
            holds: Holds::Child(element.child),
        },
        Err(corrupt) => {
            let text = format!("{} [{}]", corrupt.detail, corrupt.code);
            faults.push(*corrupt);
            Item { key: None, label: format!("<element {index}>"), holds: Holds::Damage(text) }
        }
    }
}

fn free(page: &Page<'_>, faults: &mut Vec<Corrupt>) -> Body {
    let (count, ids) = freelist::ids(page);
    let ids: Vec<Pgid> = ids.collect();
    if ids.len() as u64 != count {
        let what = format!(
            "{count} free pages are claimed, the page's {} bytes have room for {}",
            page.bytes.len(),
            ids.len()
        );
        faults.push(*Corrupt::new(Code::FreelistInvalid, page.at(), what));
    }
    Body::Free { count, ids }
}

/// A page as bbolt prints it; what is wrong is said where bbolt would print garbage, or nothing.
fn simple(view: &View, out: Out<'_>) -> io::Result<()> {
    writeln!(out, "Page ID:    {}", view.id)?;
    if let Some(kind) = &view.kind {
        writeln!(
            out,
            "Page Type:  {kind}\nTotal Size: {} bytes\nOverflow pages: {}",
            view.size, view.overflow
        )?;
    }
    for fault in view.faults.iter().filter(|fault| fault.at.element.is_none()) {
        writeln!(out, "Damage:     {}: {} [{}]", fault.at, fault.detail, fault.code)?;
    }
    match &view.body {
        Body::Meta(meta) => {
            writeln!(
                out,
                "Version:    {}\nPage Size:  {} bytes\nFlags:      {:08x}",
                meta.version, meta.page_size, meta.flags
            )?;
            let freelist = meta.freelist.unwrap_or(coldbolt::bolt::meta::NO_FREELIST);
            writeln!(
                out,
                "Root:       <pgid={}>\nFreelist:   <pgid={freelist}>\nHWM:        <pgid={}>",
                meta.root, meta.high_water
            )?;
            writeln!(out, "Txn ID:     {}\nChecksum:   {}\n", meta.txid, meta.checksum)
        }
        Body::Items(items) => {
            writeln!(out, "Item Count: {}\n", items.len())?;
            for item in items {
                write!(out, "{}: ", item.label)?;
                match &item.holds {
                    Holds::Value(value) => value.write(out)?,
                    Holds::Bucket { root, sequence } => write!(out, "<pgid={root},seq={sequence}>")?,
                    Holds::Child(child) => write!(out, "<pgid={child}>")?,
                    Holds::Damage(what) => write!(out, "<damaged: {what}>")?,
                }
                writeln!(out)?;
            }
            writeln!(out)
        }
        Body::Free { count, ids } => {
            writeln!(out, "Item Count: {count}\nOverflow: {}\n", view.overflow)?;
            for id in ids {
                writeln!(out, "{id}")?;
            }
            writeln!(out)
        }
        Body::Nothing {} => Ok(()),
    }
}
