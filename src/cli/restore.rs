mod manifest;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coldbolt::etcd::schema::Minor;
use coldbolt::ops::restore::{
    Bump, Destination, KeyFilter, NamedMember, RestoreOptions, RestoreReport, Warning, restore,
};
use coldbolt::words::error::Told;
use serde_json::json;

#[cfg(feature = "live")]
pub use self::manifest::static_pod;
use self::manifest::{StaticPod, Taken};
use super::context::{Context, Done, Fail, Verdict};
use super::out::{Form, document, json};
use super::{hint, input, named};

const DEFAULT_CLUSTER: &str = "default=http://localhost:2380";
const DEFAULT_URL: &str = "http://localhost:2380";

/// Make data directories that etcd starts from, out of a snapshot or a member's db.
///
/// Flags, defaults, ids, log and raft snapshot are those of `etcdutl snapshot restore`. Unlike it, the source is
/// verified in full first, and the directories appear when they are whole and on the disk, or not at all: they are
/// built in a directory beside, with .partial at the end of its name, which is removed on failure and when the process
/// is ended by SIGHUP, SIGINT or SIGTERM; what a killed one leaves, the next run removes. Names of hosts are never
/// looked up: in --initial-cluster and --initial-advertise-peer-urls they are compared as they are written.
///
/// Every member is restored from the same file with the same --initial-cluster and --initial-cluster-token;
/// --all-members does that in one run. Nothing is written on standard output unless --dry-run or --write-out asks for
/// it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt restore backup.db --data-dir /var/lib/etcd-new
  coldbolt restore backup.db --dry-run --all-members out --initial-cluster \
a=https://10.0.0.1:2380,b=https://10.0.0.2:2380
  coldbolt restore backup.db --from-manifest etcd.yaml --bump-revision auto --mark-compacted \
--newer /var/lib/etcd.old
  coldbolt restore backup.db --data-dir new --rev 12345
  coldbolt restore backup.db --data-dir new --prefix /registry/ --exclude-prefix /registry/events/")]
pub struct Args {
    /// Snapshot file or database; - is standard input.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Where the member's data goes; must not exist, or be empty [default: <name>.etcd].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the log goes; must not exist [default: in the data directory].
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// The member's name [default: default].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The members of the new cluster: NAME=URL,NAME=URL [default: default=http://localhost:2380].
    #[arg(long, value_name = "MEMBERS")]
    initial_cluster: Option<String>,
    /// What tells clusters with the same members apart [default: etcd-cluster].
    #[arg(long, value_name = "TOKEN")]
    initial_cluster_token: Option<String>,
    /// The member's peer URLs, as in --initial-cluster [default: http://localhost:2380].
    #[arg(long, value_name = "URLS")]
    initial_advertise_peer_urls: Option<String>,
    /// Take name, data directory (on the host), members, peer URLs, token and version from a static-pod manifest as
    /// kubeadm writes it; what is given as a flag counts more. kubeadm names only the members that were there when
    /// the manifest was written: the last control plane's has all, the first one's only itself.
    #[arg(long, value_name = "etcd.yaml")]
    from_manifest: Option<PathBuf>,
    /// Restore even if the file's SHA-256 trailer is wrong, or if it has none, as a db copied from a member.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    skip_hash_check: bool,
    /// Raise the revision by that much, so that clients do not see it fall; wants --mark-compacted. auto: past the
    /// highest revision in the --newer files and 10,000,000 more, or by 1,000,000,000 if there are none.
    #[arg(long, default_value = "0", value_parser = bump, value_name = "N|auto")]
    bump_revision: Bump,
    /// What the cluster left that is newer than FILE: snapshot files, databases, data directories (their logs count
    /// too).
    #[arg(long, value_name = "PATH", num_args = 1..)]
    newer: Vec<PathBuf>,
    /// Mark everything before the raised revision as compacted, so that watchers start anew.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    mark_compacted: bool,
    /// Taken for etcdutl's sake; nothing is mapped.
    #[arg(long, value_name = "BYTES")]
    initial_memory_map_size: Option<u64>,
    /// The etcd that will read the directories [default: the version that the source was written by].
    #[arg(long, value_parser = named::minor(), value_name = "VERSION")]
    target_version: Option<Minor>,
    /// Write a directory for every member of --initial-cluster into this one, which must not exist.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["data_dir", "wal_dir", "name", "initial_advertise_peer_urls"]
    )]
    all_members: Option<PathBuf>,
    /// Restore the keyspace as it was at this revision, which must not be compacted. What came after it is left out.
    #[arg(long, alias = "revision", value_name = "REVISION")]
    rev: Option<i64>,
    /// Restore only keys that begin with this. May be repeated.
    ///
    /// A part of the keyspace is restored compacted at its last revision: the revision does not fall even if the last
    /// change was to another key, and clients that go on from an older one are told to list anew, as no event tells
    /// them of the keys that are gone. Leases, users and roles are all kept.
    #[arg(long, value_name = "PREFIX")]
    prefix: Vec<OsString>,
    /// Leave out keys that begin with this. May be repeated, and used with --prefix.
    #[arg(long, value_name = "PREFIX")]
    exclude_prefix: Vec<OsString>,
    /// Make this member a learner, which does not vote until it is promoted. May be repeated; etcd wants at most one,
    /// unless it is started with --max-learners.
    #[arg(long, value_name = "NAME")]
    learner: Vec<String>,
    /// Leave raised alarms out. etcd keeps them otherwise: a cluster that was out of space refuses writes until they
    /// are disarmed.
    #[arg(long)]
    clear_alarms: bool,
    /// Turn authentication off, for when root's password is lost: whoever reaches the cluster may do everything until
    /// `etcdctl auth enable`. Users and roles stay.
    #[arg(long)]
    disable_auth: bool,
    /// Restore a damaged source as far as it can be read whole. What is wrong is reported.
    #[arg(long)]
    allow_damage: bool,
    /// Verify the source, print what would be written and how to start it, and write nothing.
    #[arg(long, visible_alias = "plan")]
    dry_run: bool,
    /// Print what was done, or would be.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    write_out: Option<Form>,
}

fn bump(text: &str) -> Result<Bump, String> {
    if text == "auto" {
        return Ok(Bump::Auto(Vec::new()));
    }
    text.parse().map(Bump::By).map_err(|_| "a number or auto is due".to_owned())
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if args.exclude_prefix.iter().any(|prefix| prefix.is_empty()) {
        return Err(Fail::Usage("--exclude-prefix is empty: that leaves out every key".to_owned()));
    }
    if args.bump_revision.is_none() == args.mark_compacted {
        return Err(Fail::Usage("--mark-compacted required if --bump-revision > 0".to_owned()));
    }
    let bump = match &args.bump_revision {
        Bump::Auto(_) => Bump::Auto(args.newer.clone()),
        _ if !args.newer.is_empty() => {
            return Err(Fail::Usage("--newer is for --bump-revision auto".to_owned()));
        }
        bump => bump.clone(),
    };
    let bytes = |all: &[OsString]| all.iter().map(|prefix| prefix.as_encoded_bytes().to_vec()).collect();
    let Member { destination, initial_cluster, token, target, taken } = Member::of(args)?;
    let options = RestoreOptions {
        initial_cluster,
        token,
        destination,
        skip_hash_check: args.skip_hash_check,
        allow_damage: args.allow_damage,
        learners: args.learner.clone(),
        revision: args.rev,
        keys: KeyFilter { prefixes: bytes(&args.prefix), excluded: bytes(&args.exclude_prefix) },
        clear_alarms: args.clear_alarms,
        disable_auth: args.disable_auth,
        bump,
        target,
        dry_run: args.dry_run,
    };
    let source = input::given(&args.path)?;
    let source = if source.is_dir() { source } else { input::checked(source.open()?)?.into() };
    let mut report = restore(source, &options, context.monitor)?;
    if let Some(what) = manifest_is_old(&taken, &report) {
        report.advice.push(what.into());
    }
    if let Some(what) = taken_for_default(args, &report) {
        report.advice.push(what.into());
    }
    hint::notes(&mut report.advice);
    if !report.dry_run {
        say(&report, &taken, context);
    }
    match args.write_out {
        Some(Form::Json) => {
            let head = json!({ "schema": "coldbolt.restore/1", "taken": taken });
            json(context.out, &document(head, &report))?;
        }
        None if !report.dry_run => {}
        Some(Form::Table) | None => screen(context.out, &report, &taken)?,
    }
    Ok(Verdict::Good)
}

/// The manifest names the members that were there when it was written.
fn manifest_is_old(taken: &[Taken], report: &RestoreReport) -> Option<String> {
    let (now, before) = (report.members.len(), report.members_before);
    let named = taken.iter().any(|taken| taken.flag == "initial-cluster");
    (named && before != now).then(|| {
        format!(
            "the manifest names {now} members, the source had {before}: see that --initial-cluster is what the new \
             cluster shall be"
        )
    })
}

/// Without flags a member `default` is made, as etcdutl does. Where the source names others, their flags would not fit
/// what was made.
fn taken_for_default(args: &Args, report: &RestoreReport) -> Option<String> {
    let said = args.name.is_some()
        || args.initial_cluster.is_some()
        || args.initial_advertise_peer_urls.is_some()
        || args.from_manifest.is_some();
    let named = &report.named_before;
    let is_default =
        |m: &NamedMember| m.name == "default" && m.peer_urls.iter().all(|url| *url == DEFAULT_URL);
    if said || named.is_empty() || named.iter().all(is_default) {
        return None;
    }
    let member = |m: &NamedMember| format!("{} at {}", m.name, Told::list(&m.peer_urls));
    let members = named.iter().map(member).collect::<Vec<_>>().join(", ");
    Some(format!(
        "the directory is for a member named default at {DEFAULT_URL}, as no flag said otherwise; the source names \
         {members}: an etcd that is started with those names does not fit it. --name, --initial-cluster and \
         --initial-advertise-peer-urls say whose it is"
    ))
}

/// Whose directories are made, and where, by flags and by what a manifest says.
struct Member {
    destination: Destination,
    initial_cluster: String,
    token: String,
    target: Option<Minor>,
    /// What the manifest was taken at its word for.
    taken: Vec<Taken>,
}

impl Member {
    fn of(args: &Args) -> Result<Member, coldbolt::Error> {
        let manifest = args.from_manifest.as_deref().map(StaticPod::read).transpose()?;
        let mut taken = Vec::new();
        // A flag, or what the manifest says.
        type Setting<'a> = &'a dyn Fn(&StaticPod) -> Result<Option<Taken>, coldbolt::Error>;
        let mut or = |flag: &Option<String>, ask: Setting<'_>| match (flag, &manifest) {
            (Some(value), _) => Ok::<_, coldbolt::Error>(Some(value.clone())),
            (None, Some(manifest)) => Ok(ask(manifest)?.map(|found| {
                taken.push(found.clone());
                found.value
            })),
            (None, None) => Ok(None),
        };
        let path = |path: &Option<PathBuf>| {
            path.as_deref().filter(|dir| !dir.as_os_str().is_empty()).map(Path::to_path_buf)
        };
        let initial_cluster = or(&args.initial_cluster, &|m| m.needed("initial-cluster").map(Some))?;
        let token = or(&args.initial_cluster_token, &StaticPod::token)?;
        let destination = match &args.all_members {
            Some(dir) => Destination::All(dir.clone()),
            None => {
                let name = or(&args.name, &StaticPod::name)?.unwrap_or_else(|| "default".to_owned());
                let advertised = or(&args.initial_advertise_peer_urls, &|m| {
                    m.needed("initial-advertise-peer-urls").map(Some)
                })?;
                let data_dir = match path(&args.data_dir) {
                    Some(dir) => dir,
                    None => or(&None, &|m| m.data_dir().map(Some))?
                        .unwrap_or_else(|| format!("{name}.etcd"))
                        .into(),
                };
                let wal_dir = match path(&args.wal_dir) {
                    Some(dir) => Some(dir),
                    // A log apart belongs to the manifest's own data directory.
                    None if path(&args.data_dir).is_some() => None,
                    None => or(&None, &StaticPod::wal_dir)?.map(PathBuf::from),
                };
                Destination::Member {
                    name,
                    advertised: advertised.unwrap_or_else(|| DEFAULT_URL.to_owned()),
                    data_dir,
                    wal_dir,
                }
            }
        };
        let mut target = args.target_version;
        if target.is_none()
            && let Some((version, found)) = manifest.as_ref().and_then(StaticPod::version)
        {
            target = Some(version);
            taken.push(found);
        }
        let initial_cluster = initial_cluster.unwrap_or_else(|| DEFAULT_CLUSTER.to_owned());
        let token = token.unwrap_or_else(|| "etcd-cluster".to_owned());
        Ok(Member { destination, initial_cluster, token, target, taken })
    }
}

/// What etcdutl logs, for the scripts that look for it.
fn say(report: &RestoreReport, taken: &[Taken], context: &Context<'_>) {
    let info =
        |what: &str, fields: serde_json::Value| context.monitor.log(&["info", what, &fields.to_string()]);
    for Taken { flag, value, from } in taken {
        info("taken from the manifest", json!({ "flag": flag, "value": value, "from": from }));
    }
    for member in &report.members {
        let fields = json!({
            "cluster-id": report.cluster_id,
            "added-peer-id": member.id,
            "added-peer-peer-urls": member.peer_urls,
        });
        info("added member", fields);
    }
    for member in report.members.iter().filter(|member| member.data_dir.is_some()) {
        let fields = json!({ "path": report.source, "wal-dir": member.wal_dir, "data-dir": member.data_dir });
        info("restored snapshot", fields);
    }
    if let Some(raised) = &report.raised {
        for why in &raised.why {
            context.monitor.say(&format!("revision: {why}"));
        }
    }
    for warning in report.warnings.iter().filter(|warning| matches!(warning, Warning::LogBeside { .. })) {
        context.monitor.warn(&format!("warning: {warning}"));
    }
    for advice in &report.advice {
        context.monitor.warn(&format!("warning: {advice}"));
    }
}

fn screen(out: &mut dyn Write, report: &RestoreReport, taken: &[Taken]) -> io::Result<()> {
    for Taken { flag, value, from } in taken {
        writeln!(out, "{:<15}--{flag} {value}", "taken")?;
        writeln!(out, "{:<15}  from {from}", "")?;
    }
    let RestoreReport { source, kind, revision, hashkv, cluster_id, .. } = report;
    writeln!(out, "source         {source} ({kind}), verified: bytes, pages, mvcc")?;
    writeln!(out, "revision       {revision}")?;
    match report.result_hashkv {
        Some(result) if result != *hashkv => {
            writeln!(out, "HashKV         {result}; of the source {hashkv}")?
        }
        _ => writeln!(out, "HashKV         {hashkv}")?,
    }
    writeln!(out, "for etcd       {}", report.target_version.name())?;
    writeln!(out, "cluster id     {cluster_id:#}")?;
    for member in &report.members {
        let learner = if member.learner { " (learner)" } else { "" };
        writeln!(out, "\nmember {} {:#} {}{learner}", member.name, member.id, member.peer_urls.join(","))?;
        for file in &member.files {
            writeln!(
                out,
                "  {} {} ({} bytes)",
                if report.dry_run { "would write" } else { "wrote" },
                file.path,
                file.bytes
            )?;
        }
        if let Some(start) = &member.start {
            writeln!(out, "  start: {start}")?;
        }
    }
    writeln!(out, "\nwhat differs from the source:")?;
    for change in &report.changes {
        writeln!(out, "  {change}")?;
    }
    for why in report.raised.iter().flat_map(|raised| &raised.why) {
        writeln!(out, "  revision: {why}")?;
    }
    for warning in &report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    for advice in &report.advice {
        writeln!(out, "warning: {advice}")?;
    }
    if report.dry_run {
        writeln!(
            out,
            "\nNothing was written. Client URLs and certificates are to be added to the commands; \
             they are not in the snapshot."
        )?;
    }
    Ok(())
}
