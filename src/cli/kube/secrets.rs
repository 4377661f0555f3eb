use std::io::{self, Write};

use coldbolt::kube::exposure::{Exposed, Exposure, ExposureReport};
use coldbolt::ops::exposure;
use serde_json::json;

use super::super::context::{Context, Done, Verdict};
use super::super::keyspace::{Pages, ValueFile};
use super::super::out::{Form, clean, count, json, plain_table};

/// List every place that holds a secret, by name and without any value: what has to be changed in the cluster if the
/// file gets into other hands.
///
/// Secrets are listed by their type; bootstrap tokens and certificates with their end. Objects of every other kind are
/// listed where a value of a ConfigMap, an annotation, an environment variable, an argument or the header of a probe
/// looks like a key or a password by what it is (a private key, a signed token, the key of a cloud, a login to a
/// registry of images, an address with a password in it) or what it is called. A secret under an innocent name is not
/// found. Certificates of authorities in webhooks are public, and listed for their end. Users of etcd's own and what
/// servers of k3s share are listed too.
///
/// IN tells how many versions lie where: live, in history (an old password may still be in use elsewhere), and in free
/// pages, although they are stored no more; and of all these how many were encrypted and opened with the keys that were
/// given. Encrypted Secrets are as safe as the key; other encrypted objects cannot be looked into without it, and the
/// exit code is then 4. The log of a data directory is not looked at, but for what --fold applies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube secrets backup.db
  coldbolt kube secrets backup.db --encryption-config encryption.yaml
  coldbolt kube secrets backup.db -w json | jq -r '.places[] | select(.ends) | [.ends, .what, .name] | @tsv'")]
pub struct Args {
    #[command(flatten)]
    file: ValueFile,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Only objects in this namespace, and nothing that is no object.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Format of the answer.
    #[arg(short, long)]
    #[arg(value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let monitor = context.monitor;
    args.file.with_pages(context, |store, pages, out| {
        let report = exposure(store, args.etcd_prefix.as_deref(), args.namespace.as_deref(), monitor)?;
        match args.write_out {
            Form::Table => table(&report, out)?,
            Form::Json => {
                let free_pages = (pages == Pages::LookedAt).then_some(&report.free_pages);
                let answer = json!({
                    "schema": "coldbolt.kube-secrets/1", "file": store.source().name(),
                    "revision": store.revision(), "places": report.places, "encrypted": report.encrypted,
                    "undecoded": report.undecoded, "free_pages": free_pages,
                });
                json(out, &answer)?;
            }
        }
        let (encrypted, undecoded) = (report.encrypted, report.undecoded);
        for (n, what) in [
            (encrypted, "other objects that are encrypted"),
            (undecoded, "that are no objects of Kubernetes, or cannot be decoded"),
        ] {
            if n > 0 {
                monitor.warn(&format!("versions that were not looked into: {} of {what}", count(n)));
            }
        }
        if report.versions == 0 {
            monitor.warn(&match &args.namespace {
                Some(namespace) => format!("no object is in the namespace {}", clean(namespace)),
                None => "no key and value are those of a Kubernetes API server".to_owned(),
            });
        }
        // A prefix that nothing lies behind says nothing of the file, nor a namespace that nothing is in.
        let asked = args.etcd_prefix.is_some() || args.namespace.is_some();
        let astray = report.versions == 0 && asked;
        let all = !astray && encrypted + undecoded == 0;
        Ok(if all { Verdict::Good } else { Verdict::Inconclusive })
    })
}

fn table(report: &ExposureReport, out: &mut dyn Write) -> io::Result<()> {
    let row = |place: &Exposure| {
        let what = match place.what {
            Exposed::Secret if !place.kind_of_secret.is_empty() => {
                format!("secret ({})", place.kind_of_secret)
            }
            what => what.name().to_owned(),
        };
        let object = match place.resource.is_empty() {
            true => place.name.to_string(),
            false => format!("{}/{}", place.resource, place.name),
        };
        let ends = place.ends.map_or_else(String::new, |time| time.to_string());
        [what, place.namespace.to_string(), object, fields(place), ends, places(place)]
    };
    let header = ["WHAT", "NAMESPACE", "OBJECT", "FIELDS", "ENDS", "IN"];
    writeln!(out, "{}", plain_table(header, report.places.iter().map(row)))?;
    let begun = report.free_pages.remnants.plain.iter().filter(|kind| kind.kind == *"Secret");
    let begun = begun.map(|kind| kind.count).sum::<u64>();
    if begun > 0 {
        writeln!(out, "plain Secrets begin in free pages that are partly written over: {}", count(begun))?;
    }
    Ok(())
}

fn fields(place: &Exposure) -> String {
    let one = |field: &coldbolt::kube::exposure::ExposedField| match field.sign {
        Some(sign) => format!("{} ({})", field.path, sign.name()),
        None => field.path.to_string(),
    };
    place.fields.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn places(place: &Exposure) -> String {
    let live = place.live.then(|| "live".to_owned());
    let counted = |n: u64, name: &str| (n > 0).then(|| format!("{name} {}", count(n)));
    let all = [
        live,
        counted(place.history, "history"),
        counted(place.free, "free"),
        counted(place.encrypted, "encrypted"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
