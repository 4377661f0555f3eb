//! `page`: what can be printed of a page is printed, and what cannot is said in its place.

use std::io::{self, Write};

use coldbolt::bolt::{Db, Page, PageKind, Pgid, RawPage, freelist};
use coldbolt::codec::array_at;
use coldbolt::io::Window;
use coldbolt::ops::bolt::{PageUse, Use, page_use};
use coldbolt::words::error::Corrupt;
use coldbolt::words::monitor::Quiet;

use super::args::PageArgs;
use super::file::{Pages, numbers, refused, there};
use super::keys::{label, shown};
use crate::cli::bolt::page_kind;
use crate::cli::context::{Context, Fail};

type Out<'o> = &'o mut dyn Write;

pub fn run(args: &PageArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    let ids = numbers(&args.pages)?;
    if ids.is_empty() && !args.all {
        return refused("page id required");
    }
    if args.all && !ids.is_empty() {
        return refused("invalid args: either use '--all' or 'pageid...'");
    }
    let path = &args.file.path;
    let pages = if path.is_dir() {
        Err(format!("read {}: is a directory", path.display()))
    } else {
        Pages::open(there(path)?)
    };
    let out = &mut *context.out;
    if args.all {
        return match pages {
            Ok(pages) => Ok(all(&pages, &args.format_value, out)?),
            Err(why) => Ok(write!(out, "cannot read number of pages: {why}")?),
        };
    }
    let pages = pages.map_err(|why| format!("read Page size: {why}"));
    let mut window = Window::new();
    for (at, id) in ids.into_iter().enumerate() {
        if at > 0 {
            writeln!(out, "{RULE}")?;
        }
        let page = pages.as_ref().map_err(Clone::clone).and_then(|pages| pages.read(id, &mut window));
        let done = match page {
            Ok(page) => print(&page, &args.format_value, out)?,
            Err(why) => Err(why),
        };
        failed(id, done, out)?;
    }
    Ok(())
}

/// Pages behind the end of the file of which it is said that they are not there.
const MISSING: u64 = 1 << 16;

const RULE: &str = "===============================================";

fn failed(id: u64, done: Result<(), String>, out: Out<'_>) -> io::Result<()> {
    match done {
        Ok(()) => Ok(()),
        // The typing error is bbolt's.
        Err(why) => writeln!(out, "Prining page {id} failed: {why}. Continuing..."),
    }
}

/// All pages up to the first meta page's high water mark. Behind a page that is not in use those are passed over that
/// are not in use either, where bbolt believes its overflow and passes over pages that are.
fn all(pages: &Pages, format: &str, out: Out<'_>) -> io::Result<()> {
    let db = Db::open(&pages.source).ok();
    let uses = db.as_ref().and_then(|db| page_use(db, &Quiet).ok());
    let idle = |id: u64| uses.as_ref().is_some_and(|uses: &PageUse| uses.of(Pgid(id)) == Use::Free);
    // What is left in free pages may be said to be long again and again.
    let mut left = pages.source.len().saturating_mul(2);
    let mut window = Window::new();
    // What the file lacks is said page by page, but not of pages without number.
    let end = pages.high.min(pages.source.len() / pages.page_size.max(1) + MISSING);
    let mut id = 0;
    while id < end {
        if id > 0 {
            writeln!(out, "{RULE}")?;
        }
        let header = pages.header(id);
        let run = header.as_ref().map_or(1, |header| u64::from(header.overflow) + 1);
        let free = idle(id);
        if free {
            left = left.saturating_sub(run.saturating_mul(pages.page_size));
        }
        match header {
            // Nothing is left of what it was: bbolt calls that an invalid value.
            Err(_) if free => no_page(id, pages.page_size, out)?,
            Ok(_) if free && left == 0 => no_page(id, pages.page_size, out)?,
            Err(why) => failed(id, Err(why), out)?,
            Ok(_) => {
                let done = match pages.read(id, &mut window) {
                    Ok(page) => print(&page, format, out)?,
                    Err(why) => Err(why),
                };
                failed(id, done, out)?;
            }
        }
        let own = |ahead: u64| pages.header(ahead).is_ok();
        id += 1 + (1..run).take_while(|ahead| !free || (idle(id + ahead) && !own(id + ahead))).count() as u64;
    }
    Ok(())
}

fn no_page(id: u64, size: u64, out: Out<'_>) -> io::Result<()> {
    writeln!(out, "Page ID:    {id}\nPage Type:  free\nTotal Size: {size} bytes\nOverflow pages: 0")
}

/// Prints a page; the inner error is what bbolt says of it when it cannot go on.
fn print(raw: &RawPage<'_>, format: &str, out: Out<'_>) -> io::Result<Result<(), String>> {
    let (id, kind) = (raw.header.id, page_kind(&raw.header));
    writeln!(out, "Page ID:    {id}\nPage Type:  {kind}\nTotal Size: {} bytes", raw.bytes.len())?;
    writeln!(out, "Overflow pages: {}", raw.header.overflow)?;
    let Some(page) = raw.page else { return Ok(Ok(())) };
    match page.kind {
        PageKind::Meta => meta(page.bytes, out)?,
        PageKind::Freelist => free(&page, out)?,
        PageKind::Leaf | PageKind::Branch => {
            writeln!(out, "Item Count: {}\n", raw.header.count)?;
            if let Err(why) = items(&page, format, out)? {
                return Ok(Err(why));
            }
            for fault in &raw.faults {
                writeln!(out, "<damaged: {}>", fault.detail)?;
            }
            writeln!(out)?;
        }
    }
    Ok(Ok(()))
}

fn items(page: &Page<'_>, format: &str, out: Out<'_>) -> io::Result<Result<(), String>> {
    let mut budget = page.budget();
    for index in 0..page.count {
        let (key, value) = match element(page, index) {
            Ok(element) => element,
            Err(corrupt) => {
                writeln!(out, "<element {index}>: <damaged: {}>", corrupt.detail)?;
                continue;
            }
        };
        let length = if let Holds::Value(value) = &value { value.len() } else { 0 } + key.len();
        if !budget.spend(length) {
            writeln!(out, "<element {index}>: <damaged: elements lie over one another>")?;
            break;
        }
        let value = match value {
            Holds::Value(value) => match shown(value, format) {
                Ok(value) => Ok(value),
                Err(why) => return Ok(Err(why)),
            },
            Holds::Child(child) => Err(format!("<pgid={child}>")),
            Holds::Bucket(root, sequence) => Err(format!("<pgid={root},seq={sequence}>")),
            Holds::Nothing => Err("<damaged: the value is too short for a bucket>".to_owned()),
        };
        label(key, out)?;
        write!(out, ": ")?;
        match value {
            Ok(value) => value.write(out)?,
            Err(text) => write!(out, "{text}")?,
        }
        writeln!(out)?;
    }
    Ok(Ok(()))
}

enum Holds<'p> {
    Value(&'p [u8]),
    Bucket(u64, u64),
    Child(Pgid),
    Nothing,
}

fn element<'p>(page: &Page<'p>, index: usize) -> Result<(&'p [u8], Holds<'p>), Box<Corrupt>> {
    if page.kind == PageKind::Branch {
        let element = page.branch(index)?;
        return Ok((element.key, Holds::Child(element.child)));
    }
    let element = page.leaf(index)?;
    let u64_at = |at| array_at(element.value, at).map(u64::from_le_bytes);
    let holds = match (element.is_bucket, u64_at(0), u64_at(8)) {
        (false, ..) => Holds::Value(element.value),
        (true, Some(root), Some(sequence)) => Holds::Bucket(root, sequence),
        _ => Holds::Nothing,
    };
    Ok((element.key, holds))
}

/// `Meta.Print`.
fn meta(page: &[u8], out: Out<'_>) -> io::Result<()> {
    let u32_at = |at| array_at(page, at).map_or(0, u32::from_le_bytes);
    let u64_at = |at| array_at(page, at).map_or(0, u64::from_le_bytes);
    writeln!(out, "Version:    {}\nPage Size:  {} bytes", u32_at(20), u32_at(24))?;
    writeln!(out, "Flags:      {:08x}\nRoot:       <pgid={}>", u32_at(28), u64_at(32))?;
    writeln!(out, "Freelist:   <pgid={}>\nHWM:        <pgid={}>", u64_at(48), u64_at(56))?;
    writeln!(out, "Txn ID:     {}\nChecksum:   {:016x}\n", u64_at(64), u64_at(72))
}

fn free(page: &Page<'_>, out: Out<'_>) -> io::Result<()> {
    let (count, ids) = freelist::ids(page);
    writeln!(out, "Item Count: {count}\nOverflow: {}\n", page.overflow)?;
    let mut there = 0u64;
    for id in ids {
        writeln!(out, "{id}")?;
        there += 1;
    }
    if there < count {
        writeln!(out, "<damaged: the page has room for {there}>")?;
    }
    writeln!(out)
}
