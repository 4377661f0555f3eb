//! `surgery`: changes by hand to a copy, by our own engine (`command_surgery*.go`, `internal/surgeon/surgeon.go`
//! @ v1.5.0). What was asked for is not judged, as bbolt does not.

use std::fs;

use coldbolt::bolt::writer::surgery::{MetaUpdate, Operation};
use coldbolt::bolt::{Pgid, page::Header};
use coldbolt::codec::array_at;
use coldbolt::ops::surgery::{Surgery as Change, on_copy};

use super::args::{Both, Freelist, Meta, OneFile, Surgery};
use super::file::{Pages, invalid, quoted, refused, there};
use crate::cli::bolt::page_kind;
use crate::cli::context::{Context, Fail};
use crate::cli::hint;

type Done = Result<(), Fail>;

pub fn run(surgery: &Surgery, context: &mut Context<'_>) -> Done {
    match surgery {
        Surgery::RevertMetaPage(both) => {
            let command = Named { copy: "revert-meta-page", change: "revert-meta-page command" };
            command.make(both, Operation::RevertMeta, context)?;
            Ok(writeln!(context.out, "The meta page is reverted.")?)
        }
        Surgery::CopyPage { both, from_page, to_page } => copy_page(both, *from_page, *to_page, context),
        Surgery::ClearPage { both, page } => {
            let command = Named { copy: "clear-page", change: "clear-page command" };
            clear(&command, both, *page, (0, -1), context)?;
            Ok(writeln!(context.out, "The page ({page}) was cleared")?)
        }
        Surgery::ClearPageElements { both, page, from_index, to_index } => {
            let command = Named { copy: "clear-page-element", change: "clear-page-element command" };
            clear(&command, both, *page, (*from_index, *to_index), context)?;
            let text = format!("All elements in [{from_index}, {to_index}) in page {page} were cleared");
            Ok(writeln!(context.out, "{text}")?)
        }
        Surgery::Freelist(Freelist::Abandon(both)) => {
            let command = Named { copy: "freelist abandon", change: "abandom-freelist command" };
            command.make(both, Operation::AbandonFreelist, context)?;
            writeln!(context.out, "The freelist was abandoned in both meta pages.")?;
            let delay = "It may cause some delay on next startup because bbolt needs to scan the whole db to reconstruct the free list.";
            Ok(writeln!(context.out, "{delay}")?)
        }
        Surgery::Freelist(Freelist::Rebuild(both)) => rebuild(both, context),
        Surgery::Meta(Meta::Validate(file)) => validate(file, context),
        Surgery::Meta(Meta::Update { both, fields, meta_page }) => update(both, fields, *meta_page, context),
    }
}

/// How a command is called in what it says.
struct Named {
    copy: &'static str,
    change: &'static str,
}

impl Named {
    fn make(&self, both: &Both, operation: Operation, context: &Context<'_>) -> Done {
        self.make_any(both, &Change::Pages(operation), context)
    }

    fn make_any(&self, both: &Both, change: &Change, context: &Context<'_>) -> Done {
        let source = self.source(both)?;
        on_copy(&source, change, &both.output, context.monitor)
            .map(drop)
            .map_err(|error| Fail::Refused(format!("{} failed: {}", self.change, hint::error(&error))))
    }

    /// The source, once there is room for its copy.
    fn source(&self, both: &Both) -> Result<coldbolt::io::Source, Fail> {
        if both.output.as_os_str().is_empty() {
            return refused(
                "output database path wasn't given, specify output database file path with --output option",
            );
        }
        let source = there(&both.file.path)?;
        if fs::symlink_metadata(&both.output).is_ok() {
            let there = format!("output file {} already exists", quoted(&both.output));
            return refused(format!("[{}] copy file failed: {there}", self.copy));
        }
        Ok(source)
    }

    fn failed<T>(&self, why: &str) -> Result<T, Fail> {
        refused(format!("{} failed: {why}", self.change))
    }
}

fn copy_page(both: &Both, from: u64, to: u64, context: &mut Context<'_>) -> Done {
    if from == to {
        return refused(format!("'--from-page' and '--to-page' have the same value: {from}"));
    }
    let command = Named { copy: "copy-page", change: "copy-page command" };
    let pages = match Pages::open(command.source(both)?) {
        Ok(pages) => pages,
        Err(why) => return command.failed(&format!("read Page size: {why}")),
    };
    if let Err(why) = pages.header(from) {
        return command.failed(&why);
    }
    let kept = has_freelist(&pages)?;
    command.make(both, Operation::CopyPage { from: Pgid(from), to: Pgid(to) }, context)?;
    if kept {
        writeln!(context.out, "WARNING: the free list might have changed.")?;
        writeln!(context.out, "{ABANDON}")?;
    }
    Ok(writeln!(context.out, "The page {from} was successfully copied to page {to}")?)
}

const ABANDON: &str = "Please consider executing `./bbolt surgery freelist abandon ...`";

/// Header and body of the meta pages, the second where the first has it (`readMetaPage`).
fn metas(pages: &Pages) -> Result<[Vec<u8>; 2], Fail> {
    let read = |number: u64| {
        let wrong = |why: &str| Fail::Refused(format!("read meta page {number} failed: {why}"));
        meta_at(&pages.source, number * pages.page_size).map_err(|why| wrong(&why))
    };
    Ok([read(0)?, read(1)?])
}

/// `ReadMetaPageAt`.
fn meta_at(source: &coldbolt::io::Source, offset: u64) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; 1024];
    if source.len().checked_sub(offset).is_none_or(|rest| rest < 1024) {
        return Err("EOF".to_owned());
    }
    source.read_exact_at(offset, &mut bytes).map_err(|corrupt| corrupt.detail)?;
    Ok(bytes)
}

fn u64_at(page: &[u8], at: usize) -> u64 {
    array_at(page, at).map_or(0, u64::from_le_bytes)
}

fn u32_at(page: &[u8], at: usize) -> u32 {
    array_at(page, at).map_or(0, u32::from_le_bytes)
}

/// Whether the meta page of the later transaction names a freelist.
fn has_freelist(pages: &Pages) -> Result<bool, Fail> {
    let [first, second] = metas(pages)?;
    let later = if u64_at(&first, 64) > u64_at(&second, 64) { first } else { second };
    Ok(u64_at(&later, 48) != coldbolt::bolt::meta::NO_FREELIST)
}

/// `ClearPageElements`.
fn clear(command: &Named, both: &Both, page: u64, (from, to): (i64, i64), context: &mut Context<'_>) -> Done {
    if page < 2 {
        return refused(format!("the pageId must be at least 2, but got {page}"));
    }
    let pages = match Pages::open(command.source(both)?) {
        Ok(pages) => pages,
        Err(why) => return command.failed(&format!("ReadPage failed: read Page size: {why}")),
    };
    let header = match pages.header(page) {
        Ok(header) => header,
        Err(why) => return command.failed(&format!("ReadPage failed: {why}")),
    };
    if let Err(why) = possible(&header, from, to) {
        return command.failed(&why);
    }
    if header.count == 0 {
        return command.make(both, Operation::Nothing, context);
    }
    let (first, end) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).ok());
    command.make(both, Operation::ClearElements { page: Pgid(page), from: first, to: end }, context)?;
    let made = there(&both.output).ok().and_then(|made| Pages::open(made).ok());
    let after = made.and_then(|made| made.header(page).ok());
    if header.flags == 1 || after.is_some_and(|after| after.overflow != header.overflow) {
        let freed = "The clearing has abandoned some pages that are not yet referenced from free list.";
        writeln!(context.out, "WARNING: {freed}\n{ABANDON}")?;
    }
    Ok(())
}

fn possible(header: &Header, from: i64, to: i64) -> Result<(), String> {
    let count = i64::from(header.count);
    if !matches!(header.flags, 1 | 2) {
        return Err(format!("can't clear elements in {:?} page", page_kind(header)));
    }
    if count == 0 {
        return Ok(());
    }
    if from < 0 || from >= count {
        return Err(format!("the start index ({from}) is out of range [0, {count})"));
    }
    if (to < 0 || to > count) && to != -1 {
        return Err(format!("the end index ({to}) is out of range [0, {count}]"));
    }
    if from > to && to != -1 {
        return Err(format!("the start index ({from}) is bigger than the end index ({to})"));
    }
    if from == to {
        return Err(format!("invalid: the start index ({from}) is equal to the end index ({to})"));
    }
    Ok(())
}

fn rebuild(both: &Both, context: &mut Context<'_>) -> Done {
    let command = Named { copy: "freelist rebuild", change: "[freelist rebuild] open db file" };
    let pages = Pages::open(there(&both.file.path)?)
        .map_err(|why| Fail::Refused(format!("read Page size failed: {why}")))?;
    if has_freelist(&pages)? {
        return refused(
            "the file already has freelist, please consider to abandon the freelist to forcibly rebuild it",
        );
    }
    command.make_any(both, &Change::RebuildFreelist, context)?;
    Ok(writeln!(context.out, "The freelist was successfully rebuilt.")?)
}

fn validate(file: &OneFile, context: &mut Context<'_>) -> Done {
    let source = there(&file.path)?;
    let mut place = 0;
    for number in 0..2 {
        let page = meta_at(&source, place)
            .map_err(|why| Fail::Refused(format!("read meta page {number} failed: {why}")))?;
        match invalid(&page) {
            Some(why) => writeln!(context.out, "WARNING: The meta page {number} isn't valid: {why}!")?,
            None => writeln!(context.out, "The meta page {number} is valid!")?,
        }
        place = u32_at(&page, 24).into();
    }
    Ok(())
}

fn update(both: &Both, fields: &[String], number: u32, context: &mut Context<'_>) -> Done {
    if number > 1 {
        return refused(format!("invalid meta page id: {number}"));
    }
    let mut update = fields_of(fields)?;
    let command = Named { copy: "meta update", change: "[meta update] write meta page" };
    let source = command.source(both)?;
    let read = |at| meta_at(&source, at);
    let first = read(0).map_err(|why| {
        let which = if number == 1 { "the first meta page" } else { "meta page 0" };
        Fail::Refused(format!("read {which} failed: {why}"))
    })?;
    let page_size = u32_at(&first, 24);
    let place = if number == 1 { page_size } else { 0 };
    let old =
        read(place.into()).map_err(|why| Fail::Refused(format!("read meta page {number} failed: {why}")))?;
    update.number = u8::try_from(number).unwrap_or(1);
    update.place = Some(page_size).filter(|_| number == 1);
    // bbolt sets the type of the page where it has never set a flag itself.
    update.flags = Some(4);
    let changed = !fields.is_empty() || invalid(&old).is_some() || u32_at(&old, 28) != 4;
    let size = update.page_size.unwrap_or_else(|| u32_at(&old, 24));
    let operation = if changed { Operation::UpdateMeta(update) } else { Operation::Nothing };
    command.make(both, operation, context)?;
    if number == 1 && page_size != size {
        writeln!(
            context.out,
            "WARNING: The page size ({page_size}) in the first meta page doesn't match the second meta page ({size})"
        )?;
    }
    let text = format!("The meta page {number} has been updated!");
    Ok(writeln!(context.out, "{}", if changed { &text } else { "Nothing changed!" })?)
}

/// `pageSize:N,root:N,freelist:N,pgid:N`.
fn fields_of(fields: &[String]) -> Result<MetaUpdate, Fail> {
    let mut update = MetaUpdate::default();
    for field in fields.iter().flat_map(|fields| fields.split(',')).filter(|field| !field.is_empty()) {
        let parts: Vec<&str> = field.split(':').collect();
        let [name, text] = parts[..] else { return refused(format!("invalid key-value pair: {field}")) };
        if !["pageSize", "root", "freelist", "pgid"].contains(&name) {
            return refused(format!("field {name:?} isn't allowed to be updated"));
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let Some(value) = text.parse::<u64>().ok().filter(|_| digits) else {
            return refused(format!("invalid value {text:?} for field {name:?}"));
        };
        match name {
            "pageSize" => update.page_size = Some(value as u32),
            "root" => update.root = Some(value),
            "freelist" => update.freelist = Some(value),
            _ => update.high_water = Some(value),
        }
    }
    Ok(update)
}
