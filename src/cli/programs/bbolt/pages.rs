//! `pages`, `dump` and `page-item`.

use std::io;

use coldbolt::bolt::{PageKind, Pgid};
use coldbolt::codec::checksum::hex;
use coldbolt::io::Window;
use coldbolt::ops::bolt::{Use, page_use};
use coldbolt::words::error::Error;

use super::args::{DumpArgs, ItemArgs, OneFile};
use super::file::{Pages, database, number, numbers, open, refused, there};
use super::keys::shown;
use crate::cli::bolt::page_kind;
use crate::cli::context::{Context, Fail};

pub fn pages(args: &OneFile, context: &mut Context<'_>) -> Result<(), Fail> {
    let source = database(&args.path)?;
    let db = open(&source, context.monitor)?;
    let uses = page_use(&db, context.monitor)?;
    let out = &mut *context.out;
    writeln!(out, "ID       TYPE       ITEMS  OVRFLW\n======== ========== ====== ======")?;
    let mut window = Window::new();
    let mut id = 0;
    while id < db.pages_present() {
        if uses.of(Pgid(id)) == Use::Free {
            writeln!(out, "{id:<8} {:<10} {:<6} {:<6}", "free", "", "")?;
            id += 1;
            continue;
        }
        let header = db.header(Pgid(id), &mut window);
        let header = header.map_err(|corrupt| Error::damaged(source.path(), corrupt))?;
        let overflow = if header.overflow > 0 { header.overflow.to_string() } else { String::new() };
        writeln!(out, "{id:<8} {:<10} {:<6} {overflow:<6}", page_kind(&header), header.count)?;
        id += 1 + u64::from(header.overflow);
    }
    Ok(())
}

pub fn dump(args: &DumpArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    let ids = numbers(&args.pages)?;
    if ids.is_empty() {
        return refused("page id required");
    }
    let pages = Pages::open(there(&args.file.path)?).map_err(Fail::Refused)?;
    for (at, id) in ids.into_iter().enumerate() {
        if at > 0 {
            writeln!(context.out, "===============================================")?;
        }
        let place = pages.place(id).map_err(Fail::Refused)?;
        let mut bytes = vec![0; usize::try_from(pages.page_size).unwrap_or(0)];
        let read = pages.source.read_exact_at(place, &mut bytes);
        read.map_err(|corrupt| Error::damaged(pages.source.path(), corrupt))?;
        lines(&bytes, place, context.out)?;
    }
    Ok(())
}

/// `dumpPage`: lines of 16 bytes, of those that repeat one another only the first and the last of the page.
fn lines(bytes: &[u8], place: u64, out: &mut dyn io::Write) -> io::Result<()> {
    let (mut before, mut skipped) = (None, false);
    let (lines, _) = bytes.as_chunks::<16>();
    for (at, line) in lines.iter().enumerate() {
        let offset = place + 16 * at as u64;
        if before == Some(line) && at + 1 < lines.len() {
            if !skipped {
                writeln!(out, "{offset:07x} *")?;
            }
            skipped = true;
        } else {
            let groups: Vec<_> = line.chunks(2).map(hex).collect();
            writeln!(out, "{offset:07x} {}", groups.join(" "))?;
            skipped = false;
        }
        before = Some(line);
    }
    writeln!(out)
}

pub fn item(args: &ItemArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    let (id, item) = (number(&args.page)?, number(&args.item)?);
    if args.key_only && args.value_only {
        return refused("the --key-only or --value-only flag may be set, but not both");
    }
    let source = there(&args.file.path)?;
    let pages = Pages::open(source).map_err(|why| Fail::Refused(format!("read Page size: {why}")))?;
    let mut window = Window::new();
    let raw = pages.read(id, &mut window).map_err(Fail::Refused)?;
    let (count, kind) = (raw.header.count, page_kind(&raw.header));
    if item >= count.into() {
        return refused(format!("leafPageElement: expected item index less than {count}, but got {item}"));
    }
    let page = raw.page.filter(|page| page.kind == PageKind::Leaf);
    let Some(page) = page else {
        return refused(format!("leafPageElement: expected page type of 'leaf', but got '{kind}'"));
    };
    let loose = usize::try_from(item).ok().and_then(|item| page.loose_leaf(item));
    for (wanted, part) in [
        (!args.value_only, loose.and_then(|element| element.key)),
        (!args.key_only, loose.and_then(|element| element.value)),
    ] {
        if !wanted {
            continue;
        }
        let Some(part) = part else {
            return refused(format!("page {id}: element {item} does not lie inside the page"));
        };
        shown(part, &args.format).map_err(Fail::Refused)?.write(context.out)?;
        writeln!(context.out)?;
    }
    Ok(())
}
