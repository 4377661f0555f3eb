//! `coldbolt bolt surgery`: what `bbolt surgery` does, and more, to a copy.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use coldbolt::bolt::Pgid;
use coldbolt::bolt::writer::surgery::{MetaUpdate, Operation};
use coldbolt::ops::surgery::{Surgery, prepare};
use coldbolt::report::verdict;
use coldbolt::words::monitor::Quiet;
use serde_json::json;

use super::common::File;
use crate::cli::context::{Context, Done, Fail};
use crate::cli::input;
use crate::cli::out::{Form, clean, count, json as print_json, size};

/// Change pages of a copy by hand, for whoever knows what bbolt expects: what a file needs that nothing else opens.
///
/// FILE stays as it is: the copy with the change is -o NEW, with a right SHA-256 at its end if FILE has one. It is
/// verified after, and the exit code is that verdict: 1 is a copy that is still, or now, damaged. --dry-run lists what
/// would be changed, verifies it, and writes nothing. To bring keys back from a damaged file, `coldbolt salvage` does
/// all of this by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt bolt surgery revert-meta-page backup.db --dry-run
  coldbolt bolt surgery revert-meta-page backup.db -o reverted.db
  coldbolt bolt surgery freelist-abandon backup.db -o new.db
  coldbolt bolt surgery set-consistent-index 8132 backup.db -o new.db")]
pub struct Args {
    #[command(subcommand)]
    operation: Change,
}

/// The file, and where the copy goes.
#[derive(Debug, clap::Args)]
struct Both {
    #[command(flatten)]
    file: File,
    /// The copy to make; must not exist.
    #[arg(short, long, value_name = "NEW", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Say what would be changed and what a verification says of the result, and write nothing.
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Undo the last transaction: the meta page in use becomes the other one.
    #[command(after_help = "Example:\n  coldbolt bolt surgery revert-meta-page backup.db -o new.db")]
    RevertMetaPage(Both),
    /// Store no freelist any more: bbolt finds the free pages by a walk when it opens the file.
    #[command(after_help = "Example:\n  coldbolt bolt surgery freelist-abandon backup.db -o new.db")]
    FreelistAbandon(Both),
    /// Find the free pages by a walk and store them.
    #[command(after_help = "Example:\n  coldbolt bolt surgery freelist-rebuild backup.db --dry-run")]
    FreelistRebuild(Both),
    /// Copy a page, with its overflow pages, to another place.
    #[command(
        after_help = "Example:\n  coldbolt bolt surgery copy-page --from-page 7 --to-page 9 backup.db --dry-run"
    )]
    CopyPage {
        /// The page.
        #[arg(long, value_name = "PAGE")]
        from_page: u64,
        /// Its new place.
        #[arg(long, value_name = "PAGE")]
        to_page: u64,
        #[command(flatten)]
        both: Both,
    },
    /// Remove all elements of a leaf or branch page.
    #[command(after_help = "Example:\n  coldbolt bolt surgery clear-page --page 7 backup.db --dry-run")]
    ClearPage {
        /// The page.
        #[arg(long, alias = "pageId", value_name = "PAGE")]
        #[arg(value_parser = clap::value_parser!(u64).range(2..))]
        page: u64,
        #[command(flatten)]
        both: Both,
    },
    /// Remove elements of a leaf or branch page.
    #[command(
        after_help = "Example:\n  coldbolt bolt surgery clear-page-elements --page 7 --from-index 0 --to-index 2 backup.db --dry-run"
    )]
    ClearPageElements {
        /// The page.
        #[arg(long, alias = "pageId", value_name = "PAGE")]
        #[arg(value_parser = clap::value_parser!(u64).range(2..))]
        page: u64,
        /// The first element to go, from 0.
        #[arg(long, value_name = "N")]
        from_index: usize,
        /// The first that stays; -1 is none.
        #[arg(long, value_name = "N", allow_hyphen_values = true)]
        #[arg(value_parser = clap::value_parser!(i64).range(-1..))]
        to_index: i64,
        #[command(flatten)]
        both: Both,
    },
    /// Set fields of a meta page, and make it a valid one: magic, version, page header, checksum.
    #[command(after_help = "Example:\n  coldbolt bolt surgery meta-update --meta-page 0 backup.db -o new.db")]
    MetaUpdate {
        /// Which meta page: 0 or 1.
        #[arg(long, default_value_t = 0, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u8).range(..=1))]
        meta_page: u8,
        /// Bytes in a page; of meta page 1 it also says where that lies.
        #[arg(long, value_name = "BYTES")]
        page_size: Option<u32>,
        /// The root bucket's top page.
        #[arg(long, value_name = "PAGE")]
        root: Option<u64>,
        /// The first page of the freelist.
        #[arg(long, value_name = "PAGE")]
        freelist: Option<u64>,
        /// The high water mark: the first page that was never used.
        #[arg(long, alias = "pgid", value_name = "PAGE")]
        high_water: Option<u64>,
        /// The transaction.
        #[arg(long, value_name = "N")]
        txid: Option<u64>,
        #[command(flatten)]
        both: Both,
    },
    /// Set the raft index up to which entries are applied: which of its log an etcd applies again.
    #[command(after_help = "Example:\n  coldbolt bolt surgery set-consistent-index 8132 backup.db -o new.db")]
    SetConsistentIndex {
        /// The index.
        #[arg(value_name = "INDEX")]
        index: u64,
        /// The term of that entry.
        #[arg(long, value_name = "TERM")]
        term: Option<u64>,
        #[command(flatten)]
        both: Both,
    },
    /// Remove a bucket of the root, with all that is in it.
    #[command(after_help = "Example:\n  coldbolt bolt surgery drop-bucket lease backup.db -o new.db")]
    DropBucket {
        /// Its name.
        #[arg(value_name = "BUCKET")]
        bucket: OsString,
        #[command(flatten)]
        both: Both,
    },
    /// Make the SHA-256 at the end that of the database before it.
    #[command(after_help = "Example:\n  coldbolt bolt surgery fix-trailer backup.db -o new.db")]
    FixTrailer(Both),
}

impl Change {
    fn surgery(&self) -> (Surgery, &Both) {
        let pages = Surgery::Pages;
        match self {
            Change::RevertMetaPage(both) => (pages(Operation::RevertMeta), both),
            Change::FreelistAbandon(both) => (pages(Operation::AbandonFreelist), both),
            Change::FreelistRebuild(both) => (Surgery::RebuildFreelist, both),
            Change::CopyPage { from_page, to_page, both } => {
                (pages(Operation::CopyPage { from: Pgid(*from_page), to: Pgid(*to_page) }), both)
            }
            Change::ClearPage { page, both } => {
                (pages(Operation::ClearElements { page: Pgid(*page), from: 0, to: None }), both)
            }
            Change::ClearPageElements { page, from_index, to_index, both } => {
                let to = usize::try_from(*to_index).ok();
                (pages(Operation::ClearElements { page: Pgid(*page), from: *from_index, to }), both)
            }
            Change::MetaUpdate { meta_page, page_size, root, freelist, high_water, txid, both } => {
                let update = MetaUpdate {
                    number: *meta_page,
                    page_size: *page_size,
                    root: *root,
                    freelist: *freelist,
                    high_water: *high_water,
                    txid: *txid,
                    ..MetaUpdate::default()
                };
                (pages(Operation::UpdateMeta(update)), both)
            }
            Change::SetConsistentIndex { index, term, both } => {
                (Surgery::SetConsistentIndex { index: *index, term: *term }, both)
            }
            Change::DropBucket { bucket, both } => {
                (Surgery::DropBucket(bucket.as_encoded_bytes().to_vec()), both)
            }
            Change::FixTrailer(both) => (Surgery::FixTrailer, both),
        }
    }
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let (surgery, both) = args.operation.surgery();
    if both.output.as_deref() == Some(Path::new("-")) {
        return Err(Fail::Usage("the copy is a file, and never standard output".to_owned()));
    }
    let monitor = context.monitor;
    // What has no meta page any more is made to have one again.
    let open = match &surgery {
        Surgery::Pages(Operation::UpdateMeta(_)) => input::any_file,
        _ => input::database,
    };
    let prepared = prepare(open(&both.file.path)?, &surgery, monitor)?;
    let (made, verified) = match &both.output {
        Some(to) => {
            let (made, verified) = prepared.write(to, monitor)?;
            (Some(made), verified)
        }
        None => (None, prepared.verify(&Quiet)?),
    };
    match both.write_out {
        Form::Json => {
            let answer = json!({
                "schema": "coldbolt.surgery/1", "file": verified.path, "edits": prepared.edits,
                "notes": prepared.notes, "made": made,
                "verification": verified,
            });
            print_json(context.out, &answer)?;
        }
        Form::Table => {
            let out = &mut *context.out;
            for edit in &prepared.edits {
                writeln!(out, "byte {:#x}, {}: {}", edit.offset, size(edit.len), clean(&edit.what))?;
            }
            if let (Some(made), Some(to)) = (&made, &both.output) {
                let trailer = if made.sealed { ", its SHA-256 at the end" } else { "" };
                let name = clean(&to.display().to_string());
                writeln!(out, "{name}: {} bytes{trailer}", count(made.bytes))?;
            }
            for note in &prepared.notes {
                writeln!(out, "note: {}", clean(note))?;
            }
            for finding in &verified.findings {
                writeln!(out, "{}", clean(&finding.to_string()))?;
            }
            writeln!(out, "{}", clean(&verdict(&verified)))?;
        }
    }
    Ok(verified.verdict)
}
