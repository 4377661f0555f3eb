use std::ffi::OsString;
use std::path::{Path, PathBuf};

use coldbolt::MemberId;
use coldbolt::etcd::identity::member_id;
use coldbolt::etcd::member::Member;
use coldbolt::etcd::peer_url::peer_urls;
use coldbolt::ops::copy::directory::{copy_directory, members};
use coldbolt::ops::copy::{CopyOptions, Uncommitted};
use coldbolt::raft::ConfChange;
use coldbolt::replay::apply::Version;
use coldbolt::words::error::Told;
use serde_json::json;

use super::context::{Context, Done, Fail, Verdict};
use super::copy::directory;
use super::hint;
use super::out::{Form, json, plain_table};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List(ListArgs),
    Remove(RemoveArgs),
    Add(AddArgs),
    Promote(PromoteArgs),
}

impl Command {
    /// Whether a directory is made.
    pub fn writes(&self) -> bool {
        !matches!(self, Command::List(_))
    }
}

/// Print who is a member by a member's database and log.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt member list /var/lib/etcd")]
pub struct ListArgs {
    /// The member's data directory.
    #[arg(value_name = "PATH", required_unless_present = "data_dir")]
    path: Option<PathBuf>,
    /// The same, as etcdutl has it.
    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "path")]
    data_dir: Option<PathBuf>,
    /// The etcd that wrote the files, as 3.5 or 3.5.12 [default: as the files tell].
    #[arg(long, value_name = "VERSION")]
    etcd_version: Option<Version>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

/// What both changes need.
#[derive(Debug, clap::Args)]
struct Change {
    /// The data directory of the member, as etcdutl has it.
    #[arg(long, value_name = "DIR", hide = true)]
    data_dir: Option<PathBuf>,
    /// The log, if it is kept outside the data directory.
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// The directory to make; must not exist.
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
    /// The etcd that wrote the files, as 3.5 or 3.5.12 [default: as the files tell].
    #[arg(long, value_name = "VERSION")]
    etcd_version: Option<Version>,
    /// Print what was done.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    write_out: Option<Form>,
}

/// Make a directory of a member without members that are lost.
///
/// For when most members are lost and the one that is left cannot elect a leader. Everything in its log is applied,
/// also what the lost members may not have had; the cluster and the member keep their ids, and etcd starts from the
/// new directory with the flags it had. Never start a removed member again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt member remove /var/lib/etcd 8211f1d0f64f3269 91bc3c398fb3c146 -o /var/lib/etcd-alone")]
pub struct RemoveArgs {
    /// The data directory of the member that is left; only read. Then the members' ids, in hex as etcdctl prints them.
    #[arg(value_names = ["PATH", "ID"], num_args = 1.., required = true)]
    given: Vec<OsString>,
    #[command(flatten)]
    change: Change,
}

/// Make a directory of a member with one member more, which will join with an empty directory.
///
/// As `etcdctl member add` does while there is a leader: a voter that has not started counts for the quorum.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt member add /var/lib/etcd --peer-urls http://10.0.0.2:2380 -o /var/lib/etcd-new")]
pub struct AddArgs {
    /// The data directory of the member that is left; only read.
    #[arg(value_name = "PATH", required_unless_present = "data_dir", conflicts_with = "data_dir")]
    path: Option<PathBuf>,
    /// Where the other members reach it, separated by commas.
    #[arg(long, value_name = "URLS", value_delimiter = ',', required = true)]
    peer_urls: Vec<String>,
    /// It only learns at first.
    #[arg(long)]
    learner: bool,
    /// Its id, in hex: needed when a member with these URLs was removed before [default: made of the URLs].
    #[arg(long, value_name = "ID")]
    id: Option<MemberId>,
    #[command(flatten)]
    change: Change,
}

/// Make a directory of a member in which learners vote.
///
/// For when the only voter is lost and a learner is what is left: promote it, then remove the lost voter from the
/// directory that was made. A learner may lack the last writes; `rank` tells which member has come furthest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt member promote /var/lib/etcd 8211f1d0f64f3269 -o /var/lib/etcd-voter
  coldbolt member remove /var/lib/etcd-voter 91bc3c398fb3c146 -o /var/lib/etcd-alone")]
pub struct PromoteArgs {
    /// The data directory of the member that is left; only read. Then the learners' ids, in hex as etcdctl prints them.
    #[arg(value_names = ["PATH", "ID"], num_args = 1.., required = true)]
    given: Vec<OsString>,
    #[command(flatten)]
    change: Change,
}

pub fn run(command: &Command, context: &mut Context<'_>) -> Done {
    match command {
        Command::List(args) => list(args, context),
        Command::Remove(args) => {
            let remove = |id: &MemberId| ConfChange {
                id: None,
                kind: Some(1),
                node_id: Some(id.get()),
                context: None,
            };
            let (path, ids) = args.change.member_and_ids(&args.given)?;
            let changes: Vec<ConfChange> = ids.iter().map(remove).collect();
            change(&args.change, path, &changes, "coldbolt.member-remove/1", context)
        }
        Command::Promote(args) => {
            let promote = |id: &MemberId| {
                let member = json!({ "id": id.get(), "peerURLs": null, "isPromote": true }).to_string();
                ConfChange {
                    id: None,
                    kind: Some(0),
                    node_id: Some(id.get()),
                    context: Some(member.into_bytes()),
                }
            };
            let (path, ids) = args.change.member_and_ids(&args.given)?;
            let changes: Vec<ConfChange> = ids.iter().map(promote).collect();
            change(&args.change, path, &changes, "coldbolt.member-promote/1", context)
        }
        Command::Add(args) => {
            let urls = peer_urls(args.peer_urls.iter().map(String::as_str)).map_err(Fail::Usage)?;
            // etcd takes the time into it; any id that none has had will do.
            let id = args.id.unwrap_or_else(|| member_id(&urls, ""));
            let member = json!({ "id": id.get(), "peerURLs": urls, "isLearner": args.learner }).to_string();
            let kind = Some(if args.learner { 3 } else { 0 });
            let changes =
                [ConfChange { id: None, kind, node_id: Some(id.get()), context: Some(member.into_bytes()) }];
            let path = named(args.path.as_ref(), args.change.data_dir.as_ref())?;
            change(&args.change, path, &changes, "coldbolt.member-add/1", context)
        }
    }
}

impl Change {
    /// The directory and the ids behind it. With --data-dir all are ids.
    fn member_and_ids<'a>(&'a self, given: &'a [OsString]) -> Result<(&'a Path, Vec<MemberId>), Fail> {
        let (path, ids) = match (&self.data_dir, given) {
            (Some(dir), ids) => (dir.as_path(), ids),
            (None, [path, ids @ ..]) => (Path::new(path), ids),
            (None, []) => return Err(Fail::Usage("PATH is missing".to_owned())),
        };
        if ids.is_empty() {
            return Err(Fail::Usage(format!("of which member? Give its ID behind {}", path.display())));
        }
        let id = |id: &OsString| {
            let id = id.to_string_lossy();
            id.parse().map_err(|error| Fail::Usage(format!("{id:?} is no ID of a member: {error}")))
        };
        Ok((path, ids.iter().map(id).collect::<Result<_, _>>()?))
    }
}

/// The directory by either of its names.
fn named<'a>(path: Option<&'a PathBuf>, data_dir: Option<&'a PathBuf>) -> Result<&'a Path, Fail> {
    let named = path.or(data_dir).map(PathBuf::as_path);
    named.ok_or_else(|| Fail::Usage("PATH is missing".to_owned()))
}

fn change(
    args: &Change,
    path: &Path,
    changes: &[ConfChange],
    schema: &str,
    context: &mut Context<'_>,
) -> Done {
    let options = CopyOptions {
        wal_dir: args.wal_dir.as_deref(),
        version: args.etcd_version,
        uncommitted: Uncommitted::Include,
        changes,
        ..CopyOptions::default()
    };
    let mut report = copy_directory(path, &args.output, &options, context.monitor)?;
    hint::findings(&mut report.findings);
    directory(&args.output, args.write_out, schema, &report, context)
}

fn list(args: &ListArgs, context: &mut Context<'_>) -> Done {
    let options = CopyOptions { version: args.etcd_version, ..CopyOptions::default() };
    let members = members(named(args.path.as_ref(), args.data_dir.as_ref())?, &options, context.monitor)?;
    if args.write_out == Form::Json {
        json(context.out, &json!({ "schema": "coldbolt.member-list/1", "members": members }))?;
        return Ok(Verdict::Good);
    }
    let row = |m: &Member| {
        let learns = if m.is_learner { "learns" } else { "votes" };
        [
            m.id.padded(),
            m.name.to_string(),
            Told::list(&m.peer_urls),
            Told::list(&m.client_urls),
            learns.to_owned(),
        ]
    };
    writeln!(
        context.out,
        "{}",
        plain_table(["ID", "NAME", "PEER URLS", "CLIENT URLS", ""], members.iter().map(row))
    )?;
    Ok(Verdict::Good)
}
