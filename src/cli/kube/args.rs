//! Arguments of the commands about Kubernetes objects.

use clap::ValueEnum;
use coldbolt::kube::secret::Redactor;
use jiff::Timestamp;

use super::super::keyspace::File;

/// What the commands share: the file, and where in it.
#[derive(Debug, clap::Args)]
pub struct Common {
    #[command(flatten)]
    pub file: File,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    pub etcd_prefix: Option<String>,
    /// As of this revision; 0 is the last.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    pub rev: i64,
}

/// What is shown of Secrets.
#[derive(Debug, clap::Args)]
pub struct Secrets {
    /// Show the data of Secrets.
    #[arg(long)]
    show_secrets: bool,
    /// Hash what is redacted without a key: comparable between runs, and a short secret can be found by trying.
    #[arg(long, conflicts_with = "show_secrets")]
    plain_hashes: bool,
}

impl Secrets {
    /// What puts something else in the place of secrets, unless they are wanted.
    pub fn redactor(&self) -> Option<Redactor> {
        match (self.show_secrets, self.plain_hashes) {
            (true, _) => None,
            (false, true) => Some(Redactor::plain()),
            (false, false) => Some(Redactor::keyed()),
        }
    }
}

/// Get objects as kubectl does: KIND is a kind, plural, singular or short name, with its group if need be
/// (deployments.apps), several separated by commas, KIND/NAME, `all`, or `all-kinds` for every object there is.
///
/// yaml and json are what kubectl prints of the same object, down to the byte; --as-stored leaves out what an API
/// server adds. Objects are of the version that is stored: an API server may prefer another one. The data of Secrets
/// is redacted. What cannot be decoded, as it is encrypted, is named by its key, and the exit code is then 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube get backup.db deploy -A
  coldbolt kube get backup.db cm/settings -n shop -o yaml
  coldbolt kube get backup.db secrets -n shop -o yaml --show-secrets
  coldbolt kube get backup.db all-kinds -o ndjson
  coldbolt kube get backup.db pods -A --deleted")]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    /// What kind of objects.
    #[arg(value_name = "KIND")]
    pub kind: String,
    /// Only those of these names.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// In this namespace.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    pub namespace: String,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// With these labels, as `app=web,tier!=db`.
    #[arg(short = 'l', long, default_value = "", value_name = "SELECTOR")]
    pub selector: String,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Output,
    /// Objects that are deleted, as they were last, and when that was.
    #[arg(long)]
    pub deleted: bool,
    /// As the value is stored: nothing added, nothing converted, fields in their order (in json).
    #[arg(long)]
    pub as_stored: bool,
    /// Show metadata.managedFields.
    #[arg(long)]
    pub show_managed_fields: bool,
    #[command(flatten)]
    pub secrets: Secrets,
    /// Count AGE to this time [default: the newest in the file].
    #[arg(long, value_name = "TIME")]
    pub now: Option<Timestamp>,
    /// Leave out the header of tables.
    #[arg(long)]
    pub no_headers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns as kubectl has them.
    Table,
    /// The same with more of them.
    Wide,
    /// YAML, several objects as a List.
    Yaml,
    /// JSON, several objects as a List.
    Json,
    /// `kind.group/name` a line.
    Name,
    /// One line of JSON an object.
    Ndjson,
}
