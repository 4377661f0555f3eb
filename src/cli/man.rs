//! `man`: the manual pages, one or all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coldbolt::io::dest::dir::{DestDir, Steps};

use super::context::{Context, Done, Fail, Verdict};
use super::exit;

/// The files that all is about.
const FILES: [(&str, &str); 4] = [
    (
        "member/snap/db",
        "the database of a member, below its data directory; a snapshot is such a file with its SHA-256 behind it",
    ),
    ("member/wal/*.wal", "the write-ahead log: what was asked for since the database was last written"),
    ("member/snap/*.snap", "raft snapshots: from where on the log is needed, and who is a member"),
    ("/etc/kubernetes/manifests/etcd.yaml", "where kubeadm says how etcd is started"),
];

/// Print the manual page, of coldbolt or of one command; or write all of them into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt man | man -l -
  coldbolt man snapshot status > coldbolt-snapshot-status.1
  coldbolt man --all man1")]
pub struct Args {
    /// The command, by its words; none for the overview.
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
    /// Write the pages of coldbolt and of each command into this directory, which must not be there yet.
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    all: Option<PathBuf>,
}

pub fn run(args: &Args, mut command: clap::Command, context: &mut Context<'_>) -> Done {
    command.build();
    if let Some(dir) = &args.all {
        return all(dir, command);
    }
    let mut name = String::from("coldbolt");
    for word in &args.words {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| Fail::Usage(format!("there is no command `{name} {word}`")))?;
        name = format!("{name}-{word}");
    }
    page(name, command, &mut *context.out)?;
    Ok(Verdict::Good)
}

/// A file `NAME.1` of each command, groups too, as `man` looks for them.
fn all(dir: &Path, command: clap::Command) -> Done {
    let mut pages = DestDir::create(dir, Steps::free())?;
    let mut due = vec![(String::from("coldbolt"), command)];
    while let Some((name, command)) = due.pop() {
        let below = |below: &clap::Command| (format!("{name}-{}", below.get_name()), below.clone());
        due.extend(command.get_subcommands().filter(|below| !below.is_hide_set()).map(below));
        let mut text = Vec::new();
        let file = format!("{name}.1");
        page(name, command, &mut text)?;
        pages.write(Path::new(&file), &text)?;
    }
    pages.place()?;
    Ok(Verdict::Good)
}

/// The page of a command that is built.
fn page(name: String, command: clap::Command, out: &mut dyn Write) -> io::Result<()> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let source = concat!("coldbolt ", env!("CARGO_PKG_VERSION"));
    let overview = name == "coldbolt";
    let page = clap_mangen::Man::new(command).title(name).source(source);
    // The field of the date: left out, the next would stand in its place.
    let page = page.date(" ").manual("coldbolt");
    page.render_title(out)?;
    // Words are whole, and lines end where they may: what is typed is never broken.
    writeln!(out, ".nh\n.ad l")?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    page.render_subcommands_section(out)?;
    writeln!(out, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in exit::TABLE {
        writeln!(out, ".TP\n{}\n{}", roff(code), roff(meaning))?;
    }
    let mut lines = examples.lines().skip_while(|line| line.starts_with("Example"));
    writeln!(out, ".SH EXAMPLES\n.nf")?;
    lines.try_for_each(|line| writeln!(out, "{}", roff(line)))?;
    writeln!(out, ".fi\n.SH FILES")?;
    for (file, what) in FILES {
        writeln!(out, ".TP\n.I {}\n{}", roff(file), roff(what))?;
    }
    if overview {
        writeln!(out, ".SH \"SEE ALSO\"\netcd, etcdutl, etcdctl, bbolt")?;
    } else {
        writeln!(out, ".SH \"SEE ALSO\"\n.BR coldbolt (1)")?;
    }
    page.render_version_section(out)
}

/// Text as roff prints it as it is.
fn roff(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if line.starts_with('.') { format!("\\&{line}") } else { line }
}
