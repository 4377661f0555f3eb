//! Arguments of the commands about Kubernetes objects.

use coldbolt::etcd::KeyRange;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::key::ObjectKey;
use coldbolt::kube::order::SortField;
use coldbolt::kube::secret::Redactor;
use coldbolt::kube::version::minor;
use coldbolt::store::Store;
use coldbolt::words::error::Error;
use jiff::Timestamp;

use super::super::context::Fail;
use super::super::keyspace::ValueFile;

/// What the commands share: the file, and where in it.
#[derive(Debug, clap::Args)]
pub struct Common {
    #[command(flatten)]
    pub file: ValueFile,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    pub etcd_prefix: Option<String>,
    /// As of this revision; 0 is the last.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    pub rev: i64,
}

impl Common {
    /// The objects of a keyspace that was opened.
    pub fn cluster<'s>(&self, store: &'s Store<'_>) -> Result<Cluster<'s>, Error> {
        Cluster::open(store.at(Some(self.rev))?, self.etcd_prefix.as_deref())
    }
}

/// Whether an object is in a namespace, or the namespace is there.
pub fn is_in(cluster: &Cluster<'_>, namespace: &str) -> Result<bool, Fail> {
    for state in cluster.view().keys(KeyRange::all()) {
        let key = state?.key;
        let at = cluster.key(&key).object();
        let is_it = |at: &ObjectKey<'_>| at.resource == "namespaces" && at.name == namespace;
        if at.is_some_and(|at| at.namespace == Some(namespace) || is_it(&at)) {
            return Ok(true);
        }
    }
    Ok(false)
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
  coldbolt kube get backup.db pods -A --deleted
  coldbolt kube get backup.db pods -A --field-selector spec.nodeName=node-1,status.phase!=Running
  coldbolt kube get backup.db pods -A -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image
  coldbolt kube get backup.db deploy -A -o jsonpath='{range .items[*]}{.metadata.name}{\"\\n\"}{end}'
  coldbolt kube get backup.db pods -A --sort-by=.metadata.creationTimestamp -L app")]
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
    /// With these fields, as `metadata.name=web,status.phase!=Running`: those that an API server takes for the kind.
    #[arg(long, default_value = "", value_name = "SELECTOR")]
    pub field_selector: String,
    /// Format of the answer: table, wide, yaml, json, name (`kind.group/name` a line), ndjson (one line of JSON an
    /// object), jsonpath=TEMPLATE, jsonpath-file=FILE, jsonpath-as-json=TEMPLATE, custom-columns=HEADER:PATH,...,
    /// custom-columns-file=FILE. Several objects are a List in yaml and json, and to a template, which holds them in
    /// memory. What a template finds inside an object by `*` or `..` is in the order of names, not of chance.
    #[arg(short, long, value_parser = output, default_value = "table", value_name = "FORMAT")]
    pub output: Output,
    /// Sort by this field, as `.metadata.name`; those that are equal stay in their order. Holds all in memory.
    #[arg(long, value_parser = SortField::parse, value_name = "PATH")]
    pub sort_by: Option<SortField>,
    /// In tables, a column for each of these labels.
    #[arg(short = 'L', long, value_delimiter = ',', value_name = "LABEL,...")]
    pub label_columns: Vec<String>,
    /// In tables, all labels as the last column.
    #[arg(long)]
    pub show_labels: bool,
    /// In tables, the kind before each name.
    #[arg(long)]
    pub show_kind: bool,
    /// Whether a field that is not there is nothing to a template, and no error.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub allow_missing_template_keys: bool,
    /// Objects that are deleted, as they were last, and when that was.
    #[arg(long)]
    pub deleted: bool,
    /// As the value is stored: nothing added, nothing converted, fields in their order (in json).
    #[arg(long)]
    pub as_stored: bool,
    /// Print what an API server of this Kubernetes prints, as 1.24: up to 1.33 a creation time that is not set is null.
    /// Where such a server would answer in another version than the stored one, that is said [default: what the file
    /// was written by, as the image of a kube-apiserver, kubeadm's configuration, kubelets, fields and kinds tell].
    #[arg(long, value_parser = like, value_name = "VERSION")]
    pub like: Option<u32>,
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

#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What the user writes, or the file it is in.
    Template(TemplateForm, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateForm {
    JsonPath,
    JsonPathFile,
    JsonPathAsJson,
    CustomColumns,
    CustomColumnsFile,
}

impl TemplateForm {
    const ALL: [TemplateForm; 5] = [
        TemplateForm::JsonPath,
        TemplateForm::JsonPathFile,
        TemplateForm::JsonPathAsJson,
        TemplateForm::CustomColumns,
        TemplateForm::CustomColumnsFile,
    ];

    pub fn name(self) -> &'static str {
        match self {
            TemplateForm::JsonPath => "jsonpath",
            TemplateForm::JsonPathFile => "jsonpath-file",
            TemplateForm::JsonPathAsJson => "jsonpath-as-json",
            TemplateForm::CustomColumns => "custom-columns",
            TemplateForm::CustomColumnsFile => "custom-columns-file",
        }
    }

    pub fn columns(self) -> bool {
        matches!(self, TemplateForm::CustomColumns | TemplateForm::CustomColumnsFile)
    }
}

impl Output {
    /// Whether objects are shown with their fields.
    pub fn has_fields(&self) -> bool {
        !self.is_table() && *self != Output::Name
    }

    /// Whether it is a table with columns as kubectl has them.
    pub fn is_table(&self) -> bool {
        matches!(self, Output::Table | Output::Wide)
    }
}

fn like(text: &str) -> Result<u32, String> {
    minor(text).ok_or_else(|| "a version of Kubernetes is written as 1.24".to_owned())
}

/// The names of what `output` takes.
pub fn formats() -> Vec<&'static str> {
    let plain = ["table", "wide", "yaml", "json", "name", "ndjson"];
    plain.into_iter().chain(TemplateForm::ALL.map(TemplateForm::name)).collect()
}

fn output(text: &str) -> Result<Output, String> {
    let (name, argument) = text.split_once('=').map_or((text, None), |(name, of)| (name, Some(of)));
    if let Some(form) = TemplateForm::ALL.into_iter().find(|form| form.name() == name) {
        return Ok(Output::Template(form, argument.unwrap_or_default().to_owned()));
    }
    Ok(match text {
        "table" => Output::Table,
        "wide" => Output::Wide,
        "yaml" => Output::Yaml,
        "json" => Output::Json,
        "name" => Output::Name,
        "ndjson" => Output::Ndjson,
        _ => {
            return Err(format!("formats are {}", formats().join(", ")));
        }
    })
}
