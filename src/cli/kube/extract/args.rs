//! Arguments of `kube extract`.

use std::path::PathBuf;

use super::super::super::out::Form;
use super::super::args::Common;

/// Extract objects, each into a file of its own: DIR/NAMESPACE/KIND.GROUP/NAME.yaml, and for what is in no namespace
/// DIR/_cluster/KIND.GROUP/NAME.yaml.
///
/// KIND and NAME are those of `kube get`; without them it is every object there is, or with -n the namespace and every
/// object in it. A file is what `kubectl get -o yaml` prints of the object. The files are for restoring: the data of
/// Secrets is in them. They are for their owner alone (0600), DIR appears whole or not at all, and nothing is ever
/// overwritten. On a terminal the data of Secrets is redacted unless --show-secrets.
///
/// With --apply-ready the objects are as another cluster takes them. Taken out is what a server or controller gives:
/// status, uid, resourceVersion, managedFields, owner references (an owner has another uid then, and an object whose
/// owner is not there is deleted), a Pod's node and token volumes, cluster IPs, node ports of balancers (those of
/// other Services stay, as that is the address they are known by), the volume that a claim is bound to. Left out are
/// Events, Leases, Nodes, tokens of ServiceAccounts, what has run to its end, what a controller that is extracted makes
/// anew, and what every cluster makes by itself; namespaces stay, as applying one that is there does no harm.
/// Persistent volumes lead to the storage they always led to. -w json lists each field and object.
///
/// Folders are then numbered, so that `kubectl apply -R -f DIR` reads them in the order that a server needs, and so are
/// a tar and standard output. kubectl looks up all kinds before it applies anything: where definitions of custom
/// resources are among them, apply DIR/1-definitions first, or all of it twice. Objects over 256 KiB need
/// `kubectl apply --server-side`.
///
/// A name that cannot be a file's on every system has %XX for each such byte. What cannot be decoded, as it is
/// encrypted, is named; the exit code is then 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube extract backup.db -o objects
  coldbolt kube extract backup.db -n shop --apply-ready --with-references -o shop
  coldbolt kube extract backup.db deploy/web -n shop --apply-ready -o - | kubectl apply -f -
  coldbolt kube extract backup.db secrets -A -o secrets.tar
  coldbolt kube extract backup.db -n shop --deleted -o gone -w json")]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    /// What kind of objects.
    #[arg(value_name = "KIND", default_value = "all-kinds")]
    pub kind: String,
    /// Only those of these names.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Directory to make, or a tar if it ends in .tar, or if it ends in .yaml or .yml one file with a YAML document an
    /// object; must not exist. - is standard output: a YAML document an object.
    #[arg(short, long, value_name = "NEW")]
    pub output: PathBuf,
    /// In this namespace [default: all with all-kinds, else default].
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// With these labels, as `app=web,tier!=db`.
    #[arg(short = 'l', long, default_value = "", value_name = "SELECTOR")]
    pub selector: String,
    /// Objects that are deleted, as they were last, and no others.
    #[arg(long)]
    pub deleted: bool,
    /// As another cluster takes them.
    #[arg(long)]
    pub apply_ready: bool,
    /// Also what they need: ConfigMaps, Secrets, ServiceAccounts and their rights, claims, volumes, classes,
    /// definitions, namespaces. What is needed and not there is named.
    #[arg(long)]
    pub with_references: bool,
    /// With metadata.managedFields.
    #[arg(long, conflicts_with = "apply_ready")]
    pub show_managed_fields: bool,
    /// Show the data of Secrets on a terminal.
    #[arg(long)]
    pub show_secrets: bool,
    /// Format of the report: json tells of each object on standard output, table in sums on standard error.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub write_out: Form,
}
