//! The commands of bbolt and their flags, in its words.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::bench::BenchArgs;
use crate::cli::programs::go;
use crate::cli::programs::shell::Shell;

#[derive(Debug, Parser)]
#[command(about = "A simple command line tool for inspecting bbolt databases", disable_version_flag = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(about = "verify integrity of bbolt database data")]
    Check(CheckArgs),
    #[command(about = "prints basic information about the bbolt database.")]
    Info(OneFile),
    #[command(about = "print stats of bbolt database", long_about = STATS)]
    #[command(display_name = "stats <bbolt-file> [flags]")]
    Stats(StatsArgs),
    #[command(about = "inspect the structure of the database")]
    Inspect(OneFile),
    #[command(
        about = "creates a compacted copy of the database from source path to the destination path, preserving the original.",
        long_about = "compact opens a database at source path and walks it recursively, copying keys
as they are found from all buckets, to a newly created database at the destination path.
The original database is left untouched.",
        display_name = "compact [options] -o <dst-bbolt-file> <src-bbolt-file> [flags]"
    )]
    Compact(CompactArgs),
    #[command(about = "print a list of buckets in bbolt database")]
    Buckets(OneFile),
    #[command(about = "print a list of keys in the given (sub)bucket in bbolt database")]
    #[command(display_name = "keys <bbolt-file> <buckets> [flags]")]
    Keys(KeysArgs),
    #[command(about = "get the value of a key from a (sub)bucket in a bbolt database")]
    #[command(display_name = "get PATH [BUCKET..] KEY [flags]")]
    Get(GetArgs),
    #[command(about = "prints a hexadecimal dump of one or more pages of bbolt database.")]
    #[command(display_name = "dump <bbolt-file> pageid [pageid...] [flags]")]
    Dump(DumpArgs),
    #[command(about = "print a list of pages in bbolt database", long_about = PAGES)]
    Pages(OneFile),
    #[command(about = "page prints one or more pages in human readable format.")]
    #[command(display_name = "page <bbolt-file> [pageid...] [flags]")]
    Page(PageArgs),
    #[command(about = "print a page item key and value in a bbolt database")]
    #[command(display_name = "page-item [options] <bbolt-file> pageid itemid [flags]")]
    PageItem(ItemArgs),
    #[command(subcommand, about = "surgery related commands")]
    Surgery(Surgery),
    #[command(about = "run synthetic benchmark against bbolt", display_name = "bench [flags]")]
    Bench(BenchArgs),
    #[command(about = "print the current version of bbolt", display_name = "version [flags]")]
    Version,
    #[command(
        subcommand,
        about = "Generate the autocompletion script for the specified shell",
        long_about = "Generate the autocompletion script for bbolt for the specified shell.
See each sub-command's help for details on how to use the generated script."
    )]
    Completion(Shell),
}

const STATS: &str = "usage: bolt stats PATH

Stats performs an extensive search of the database to track every page
reference. It starts at the current meta page and recursively iterates
through every accessible bucket.

The following errors can be reported:

    already freed
        The page is referenced more than once in the freelist.

    unreachable unfreed
        The page is not referenced by a bucket or in the freelist.

    reachable freed
        The page is referenced by a bucket but is also in the freelist.

    out of bounds
        A page is referenced that is above the high water mark.

    multiple references
        A page is referenced by more than one other page.

    invalid type
        The page type is not \"meta\", \"leaf\", \"branch\", or \"freelist\".

No errors should occur in your database. However, if for some reason you
experience corruption, please submit a ticket to the etcd-io/bbolt project page:

  https://github.com/etcd-io/bbolt/issues
";

const PAGES: &str = "Pages prints a table of pages with their type (meta, leaf, branch, freelist).
Leaf and branch pages will show a key count in the \"items\" column while the
freelist will show the number of free pages in the \"items\" column.

The \"overflow\" column shows the number of blocks that the page spills over
into. Normally there is no overflow but large keys and values can cause
a single page to take up multiple blocks.
";

/// How values and keys are printed, in the words of its help.
const FORMAT: &str = "Output format one of: auto|ascii-encoded|hex|bytes|redacted";

#[derive(Debug, Args)]
pub struct OneFile {
    #[arg(value_name = "<bbolt-file>")]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub file: OneFile,
    #[arg(long, value_name = "uint", value_parser = go::uint, default_value = "0")]
    #[arg(help = "check db integrity starting from the given page ID")]
    pub from_page: u64,
}

#[derive(Debug, Args)]
pub struct StatsArgs {
    #[command(flatten)]
    pub file: OneFile,
    pub prefix: Option<OsString>,
}

#[derive(Debug, Args)]
pub struct CompactArgs {
    #[command(flatten)]
    pub file: OneFile,
    /// bbolt takes them, and does nothing with them.
    pub more: Vec<OsString>,
    #[arg(short, long, value_name = "string", required = true, help = "")]
    pub output: PathBuf,
    #[arg(long, value_name = "int", value_parser = go::int, default_value = "65536", help = "")]
    pub tx_max_size: i64,
    #[arg(long, help = "")]
    pub no_sync: bool,
}

#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(flatten)]
    pub file: OneFile,
    #[arg(required = true)]
    pub buckets: Vec<OsString>,
    #[arg(short, long, value_name = "string", default_value = "auto", help = FORMAT)]
    pub format: String,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    pub file: OneFile,
    /// Buckets, then the key.
    #[arg(required = true, num_args = 2..)]
    pub words: Vec<OsString>,
    #[arg(long, value_name = "string", default_value = "ascii-encoded")]
    #[arg(help = "Input format one of: ascii-encoded|hex")]
    pub parse_format: String,
    #[arg(long, value_name = "string", default_value = "auto")]
    #[arg(help = "Output format one of: auto|ascii-encoded|hex|bytes|redacted (default: auto)")]
    pub format: String,
}

#[derive(Debug, Args)]
pub struct DumpArgs {
    #[command(flatten)]
    pub file: OneFile,
    #[arg(required = true)]
    pub pages: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct PageArgs {
    #[command(flatten)]
    pub file: OneFile,
    pub pages: Vec<OsString>,
    #[arg(long, help = "List all pages.")]
    pub all: bool,
    #[arg(
        long,
        value_name = "string",
        default_value = "auto",
        help = "Output format one of: auto|ascii-encoded|hex|bytes|redacted. Applies to values on the leaf page."
    )]
    pub format_value: String,
}

#[derive(Debug, Args)]
pub struct ItemArgs {
    #[command(flatten)]
    pub file: OneFile,
    pub page: OsString,
    pub item: OsString,
    #[arg(long, help = "Print only the key")]
    pub key_only: bool,
    #[arg(long, help = "Print only the value")]
    pub value_only: bool,
    #[arg(long, value_name = "string", default_value = "auto", help = FORMAT)]
    pub format: String,
}

#[derive(Debug, Subcommand)]
pub enum Surgery {
    #[command(about = "Revert the meta page to revert the changes performed by the latest transaction")]
    RevertMetaPage(Both),
    #[command(about = "Copy page from the source page Id to the destination page Id")]
    CopyPage {
        #[command(flatten)]
        both: Both,
        #[arg(long, value_name = "uint", value_parser = go::uint, required = true)]
        #[arg(help = "source page Id")]
        from_page: u64,
        #[arg(long, value_name = "uint", value_parser = go::uint, required = true)]
        #[arg(help = "destination page Id")]
        to_page: u64,
    },
    #[command(about = "Clears all elements from the given page, which can be a branch or leaf page")]
    ClearPage {
        #[command(flatten)]
        both: Both,
        #[arg(long = "pageId", value_name = "uint", value_parser = go::uint, required = true)]
        #[arg(help = "page Id")]
        page: u64,
    },
    #[command(about = "Clears elements from the given page, which can be a branch or leaf page")]
    ClearPageElements {
        #[command(flatten)]
        both: Both,
        #[arg(long = "pageId", value_name = "uint", value_parser = go::uint, required = true)]
        #[arg(help = "page id")]
        page: u64,
        #[arg(long, value_name = "int", value_parser = go::int, required = true)]
        #[arg(help = "start element index (included) to clear, starting from 0")]
        from_index: i64,
        #[arg(
            long,
            value_name = "int",
            value_parser = go::int,
            required = true,
            help = "end element index (excluded) to clear, starting from 0, -1 means to the end of page"
        )]
        to_index: i64,
    },
    #[command(subcommand, about = "freelist related surgery commands")]
    Freelist(Freelist),
    #[command(subcommand, about = "meta page related surgery commands")]
    Meta(Meta),
}

#[derive(Debug, Subcommand)]
pub enum Freelist {
    #[command(about = "Abandon the freelist from both meta pages")]
    Abandon(Both),
    #[command(about = "Rebuild the freelist")]
    Rebuild(Both),
}

#[derive(Debug, Subcommand)]
pub enum Meta {
    #[command(about = "Validate both meta pages")]
    Validate(OneFile),
    #[command(about = "Update fields in meta pages")]
    Update {
        #[command(flatten)]
        both: Both,
        #[arg(
            long,
            value_name = "strings",
            action = clap::ArgAction::Append,
            help = "comma separated list of fields (supported fields: pageSize, root, freelist and pgid) to be updated, and each item is a colon-separated key-value pair"
        )]
        fields: Vec<String>,
        #[arg(
            long,
            value_name = "uint32",
            value_parser = go::uint32,
            default_value = "0",
            help = "the meta page ID to operate on, valid values are 0 and 1"
        )]
        meta_page: u32,
    },
}

/// The file, and where its copy goes.
#[derive(Debug, Args)]
pub struct Both {
    #[command(flatten)]
    pub file: OneFile,
    #[arg(long, value_name = "string", required = true, help = "path to the filePath db file")]
    pub output: PathBuf,
}
