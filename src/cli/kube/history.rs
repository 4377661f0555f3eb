use std::collections::BTreeMap;
use std::io::{self, Write};

use coldbolt::kube::changes::history::{FieldWriter, ObjectVersion, object_history};
use coldbolt::kube::changes::noise::Noise;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::resource::Resource;
use coldbolt::store::events::Change;

use super::super::context::{Context, Done, Fail, Verdict};
use super::super::keyspace::keep;
use super::super::out::{List, Listing, clean, size};
use super::args::{Common, Secrets};
use super::changes::{NoiseArgs, left_out, lines};
use super::get::wanted;

/// Print every stored version of an object, oldest first: when it was written, by whom, and what changed.
///
/// Who wrote a version is told by its managedFields: the entries that are new or have a new time, or, in the same
/// second, other fields. A time is the newest in the object that was there when it was written, which may have been
/// later. A version is compared with the one before it, also over a deletion. What came before the compact revision is
/// gone but for the newest version then.
///
/// Left out and counted are managed-fields, resource-version, generation, heartbeats and leader-election, as in `kube
/// diff`. The data of Secrets is redacted; a keyed hash tells whether it changed. Where a version cannot be decoded, as
/// it is encrypted, the exit code is 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube history backup.db deploy web -n shop
  coldbolt kube history backup.db cm/cm-10 -n ns-0 -w ndjson | jq -c '[.revision, .writers[]?.manager]'")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// What kind of object, or KIND/NAME.
    #[arg(value_name = "KIND")]
    kind: String,
    /// Its name.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Its namespace.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    namespace: String,
    #[command(flatten)]
    noise: NoiseArgs,
    #[command(flatten)]
    secrets: Secrets,
    /// Format of the answer.
    #[arg(short, long)]
    #[arg(value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let monitor = context.monitor;
    args.common.file.with(context, |store, out| {
        let cluster = args.common.cluster(store)?;
        let (resource, name) = one(args, &cluster)?;
        let namespace = resource.namespaced.then_some(&*args.namespace);
        let redactor = args.secrets.redactor();
        let hidden = args.noise.hidden();
        let simple = args.write_out == Listing::Simple;
        let file = store.source().name();
        let mut list = List::begin(out, args.write_out, "coldbolt.kube-history/1", &file, "versions")?;
        let (mut done, mut versions, mut undecoded) = (Ok(()), 0u64, 0u64);
        let mut noise: BTreeMap<Noise, u64> = BTreeMap::new();
        for key in cluster.keys_of(&resource, namespace, &name) {
            object_history(&cluster, key.as_bytes(), &hidden, redactor.as_ref(), &mut |version| {
                versions += 1;
                undecoded += u64::from(version.undecoded.is_some());
                for (rule, n) in version.fields.iter().flat_map(|fields| &fields.left_out) {
                    *noise.entry(*rule).or_default() += n;
                }
                keep(&mut done, list.item(&version, |out| line(out, &version)))
            })?;
        }
        done?;
        list.end()?;
        if simple {
            left_out(out, &noise)?;
        }
        if versions == 0 {
            let inside = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
            monitor.warn(&format!(
                "Error: {} {name:?} not found{inside}: no version of it is stored",
                resource.plural
            ));
        }
        if undecoded > 0 {
            monitor
                .say(&format!("{undecoded} versions could not be decoded: what they changed is not known"));
        }
        Ok(match (versions, undecoded) {
            (0, _) => Verdict::Bad,
            (_, 0) => Verdict::Good,
            _ => Verdict::Inconclusive,
        })
    })
}

/// The one object that is asked for.
fn one(args: &Args, cluster: &Cluster<'_>) -> Result<(Resource, String), Fail> {
    let names: Vec<String> = args.name.iter().cloned().collect();
    let found = wanted(&args.kind, &names, cluster)?;
    match &*found {
        [one] => match (&one.resource, &*one.names) {
            (Some(resource), [name]) => Ok((resource.clone(), name.clone())),
            _ => Err(Fail::Usage("the history is that of one object: KIND NAME, or KIND/NAME".to_owned())),
        },
        _ => {
            Err(Fail::Usage(format!("{:?} are several kinds; the history is that of one object", args.kind)))
        }
    }
}

fn line(out: &mut dyn Write, version: &ObjectVersion) -> io::Result<()> {
    let change = match version.change {
        Change::Created => "created",
        Change::Recreated => "recreated",
        Change::Updated => "updated",
        Change::Deleted => "deleted",
    };
    let mut about = Vec::new();
    about.extend(version.version.map(|n| format!("version {n}")));
    about.extend(version.create_revision.filter(|n| *n != version.revision).map(|n| format!("create {n}")));
    about.extend(version.value_len.map(|len| size(len as u64)));
    about.extend(version.not_before.map(|time| format!("not before {time}")));
    about.extend(
        version.uid.as_ref().filter(|_| version.change != Change::Updated).map(|uid| format!("uid {uid}")),
    );
    about.extend(version.undecoded.clone());
    about.extend(version.compacted.then(|| "compacted".to_owned()));
    let line = format!("revision {:<8} {change:<10} {}", version.revision, about.join(", "));
    writeln!(out, "{}", clean(line.trim_end()).replace('\n', "\\n"))?;
    version.writers.iter().try_for_each(|writer| writeln!(out, "    by {}", who(writer)))?;
    let fields = version.fields.iter().flat_map(|fields| lines(fields, ""));
    fields.into_iter().try_for_each(|line| writeln!(out, "    {line}"))
}

fn who(writer: &FieldWriter) -> String {
    let FieldWriter { manager, operation, subresource, time } = writer;
    let subresource = if subresource.is_empty() { String::new() } else { format!(" of {subresource}") };
    let time = if time.is_empty() { String::new() } else { format!(" at {time}") };
    clean(&format!("{manager} ({operation}{subresource}){time}")).replace('\n', "\\n")
}
