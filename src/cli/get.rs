use std::ffi::OsString;
use std::io::{self, Write};

use clap::ValueEnum;
use coldbolt::codec::go::go_quote;
use coldbolt::codec::json;
use coldbolt::etcd::{KeyRange, KeyValue};
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::decode::Object;
use coldbolt::kube::json::{self as kube_json, Layout};
use coldbolt::kube::yaml;
use coldbolt::store::{Order, RangeRequest, RangeTotals, SortBy, Store};

use serde_json::{Map, Value};

use super::context::{Context, Done, Fail, Verdict};
use super::keyspace::{KvJson, ValueFile, bytes, keep, on_terminal, show_key, show_value};
use super::kube::args::Secrets;
use super::objects::Objects;

/// Get a key or a range of keys, as `etcdctl get` does, at any revision that is not compacted.
///
/// The flags, their meaning and the answer are etcdctl's; a key that is not there is an empty answer, and exit code 1
/// where no range was asked for. In json the header has the revision and the raft term of the file (3.4 files have
/// none), but no cluster and member id: a database does not tell whose it is. Of keys that are equal in --sort-by the
/// lesser comes first, where etcd promises nothing. On a terminal, keys and values that are not text are quoted; in a
/// pipe they are what they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt get backup.db /registry/namespaces/default --print-value-only > value
  coldbolt get backup.db --prefix /registry/configmaps/shop/ --decode
  coldbolt get backup.db --prefix /registry/pods/ --keys-only --rev 1000
  coldbolt get backup.db \"\" --from-key -w json | jq .count
  coldbolt get /var/lib/etcd --prefix \"\" --sort-by modify --order descend --limit 10 --keys-only")]
pub struct Args {
    #[command(flatten)]
    file: ValueFile,
    /// The key, or the first key of a range.
    #[arg(value_name = "KEY")]
    key: Option<OsString>,
    /// The end of the range: keys before it.
    #[arg(value_name = "RANGE_END")]
    end: Option<OsString>,
    /// The same as RANGE_END.
    #[arg(long, value_name = "KEY", conflicts_with = "end")]
    range_end: Option<OsString>,
    /// Get keys that begin with KEY.
    #[arg(long)]
    prefix: bool,
    /// Get keys from KEY on, in byte order.
    #[arg(long)]
    from_key: bool,
    /// As of this revision; 0 is the last.
    #[arg(long, default_value_t = 0, value_name = "REVISION", allow_negative_numbers = true)]
    rev: i64,
    /// At most so many; 0 is all.
    #[arg(long, default_value_t = 0, value_name = "N")]
    limit: u64,
    /// Order of the answer; ASCEND where nothing is said.
    #[arg(long, value_enum, ignore_case = true, value_name = "ORDER")]
    order: Option<OrderArg>,
    /// What is ordered by; KEY where nothing is said.
    #[arg(long, value_enum, ignore_case = true, value_name = "TARGET")]
    sort_by: Option<SortArg>,
    /// Get the keys only.
    #[arg(long)]
    keys_only: bool,
    /// Get the number of keys only.
    #[arg(long)]
    count_only: bool,
    /// Print values only (in simple).
    #[arg(long)]
    print_value_only: bool,
    /// Leave out keys that were last modified before this revision.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    min_mod_rev: i64,
    /// Leave out keys that were last modified after this revision.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    max_mod_rev: i64,
    /// Leave out keys that were created before this revision.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    min_create_rev: i64,
    /// Leave out keys that were created after this revision.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    max_create_rev: i64,
    /// Print keys and values in hexadecimal (in simple); leases (in fields).
    #[arg(long)]
    hex: bool,
    /// Print a value that is a Kubernetes object as `kube get -o yaml` does; in json, ndjson and fields as `object` in
    /// place of its value. The data of Secrets is then redacted.
    #[arg(long, conflicts_with = "hex")]
    decode: bool,
    #[command(flatten)]
    secrets: Secrets,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Keys and values, a line each.
    Simple,
    /// One line of JSON with etcdctl's fields.
    Json,
    /// One `"Name" : value` a line.
    Fields,
    /// One line of JSON a key.
    Ndjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    Ascend,
    Descend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SortArg {
    Create,
    Key,
    Modify,
    Value,
    Version,
}

impl Args {
    /// etcdctl's rules about its flags, in its words (`get_command.go getGetOp`).
    fn check(&self) -> Result<(), Fail> {
        let usage = |what: &str| Err(Fail::Usage(what.to_owned()));
        let empty = bytes(&self.key).is_empty();
        if self.prefix && self.from_key {
            return usage("`--prefix` and `--from-key` cannot be set at the same time, choose one");
        }
        if self.keys_only && self.count_only {
            return usage("`--keys-only` and `--count-only` cannot be set at the same time, choose one");
        }
        if (self.end.is_some() || self.range_end.is_some()) && (self.prefix || self.from_key) {
            return usage(
                "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
            );
        }
        if self.key.is_none() && !self.prefix && !self.from_key {
            return usage("get command needs one argument as key and an optional argument as range_end");
        }
        if empty && !self.prefix && !self.from_key {
            return usage("key is not provided; every key is got with --from-key");
        }
        if self.print_value_only && self.write_out != Format::Simple {
            return usage("print-value-only is only for `--write-out=simple`");
        }
        if self.hex && matches!(self.write_out, Format::Json | Format::Ndjson) {
            return usage("hex is only for `--write-out=simple` and `--write-out=fields`");
        }
        for (what, min, max) in [
            ("create", self.min_create_rev, self.max_create_rev),
            ("mod", self.min_mod_rev, self.max_mod_rev),
        ] {
            if max > 0 && min > max {
                return usage(&format!("min-{what}-rev (={min}) > max-{what}-rev (={max})"));
            }
        }
        Ok(())
    }

    /// Whether one key is asked for, and no range.
    fn one_key(&self) -> bool {
        !self.prefix && !self.from_key && self.end.is_none() && self.range_end.is_none()
    }

    fn request(&self) -> RangeRequest<'_> {
        let key = bytes(&self.key);
        let end = self.end.as_ref().or(self.range_end.as_ref());
        let range = match end {
            _ if self.prefix => KeyRange::prefix(key),
            _ if self.from_key => KeyRange::from_key(key),
            Some(end) => KeyRange::request(key, end.as_encoded_bytes()),
            None => KeyRange::single(key),
        };
        let sort_by = match self.sort_by {
            None | Some(SortArg::Key) => SortBy::Key,
            Some(SortArg::Create) => SortBy::Create,
            Some(SortArg::Modify) => SortBy::Modify,
            Some(SortArg::Value) => SortBy::Value,
            Some(SortArg::Version) => SortBy::Version,
        };
        let order = match self.order {
            None => Order::None,
            Some(OrderArg::Ascend) => Order::Ascend,
            Some(OrderArg::Descend) => Order::Descend,
        };
        RangeRequest {
            limit: self.limit,
            order,
            sort_by,
            min_mod_revision: self.min_mod_rev.max(0),
            max_mod_revision: self.max_mod_rev.max(0),
            min_create_revision: self.min_create_rev.max(0),
            max_create_revision: self.max_create_rev.max(0),
            keys_only: self.keys_only,
            count_only: self.count_only,
            ..RangeRequest::new(range)
        }
    }
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    args.check()?;
    let monitor = context.monitor;
    args.file.with(context, |store, out| {
        let view = store.at(Some(args.rev))?;
        let cluster = args.decode.then(|| Cluster::open(view, None)).transpose()?;
        let objects = Objects::new(&args.secrets);
        let (terminal, first) = (on_terminal(), true);
        let mut writer = Writer { args, out, terminal, first, cluster, objects, hidden: 0 };
        writer.begin(store)?;
        let mut done = Ok(());
        let totals = view.range(&args.request(), &mut |kv| keep(&mut done, writer.kv(kv)))?;
        done?;
        writer.end(totals)?;
        let missing = totals.count == 0 && args.one_key();
        if writer.hidden > 0 {
            let hidden = writer.hidden;
            monitor.say(&format!(
                "{hidden} values could not be decoded and may be Secrets: length and hash are shown, with --show-secrets all"
            ));
        }
        Ok(match (missing, writer.hidden) {
            (true, _) => Verdict::Bad,
            (false, 0) => Verdict::Good,
            (false, _) => Verdict::Inconclusive,
        })
    })
}

struct Writer<'a> {
    args: &'a Args,
    out: &'a mut dyn Write,
    terminal: bool,
    first: bool,
    /// Where values are to be decoded.
    cluster: Option<Cluster<'a>>,
    objects: Objects,
    /// Values that cannot be decoded, and may be Secrets.
    hidden: u64,
}

impl Writer<'_> {
    fn begin(&mut self, store: &Store<'_>) -> io::Result<()> {
        let (revision, term) = (store.revision(), store.meta().term);
        match self.args.write_out {
            Format::Json => {
                let term = term.map_or_else(String::new, |term| format!(",\"raft_term\":{term}"));
                write!(self.out, "{{\"header\":{{\"revision\":{revision}{term}}}")
            }
            Format::Fields => {
                writeln!(self.out, "\"Revision\" : {revision}")?;
                term.map_or(Ok(()), |term| writeln!(self.out, "\"RaftTerm\" : {term}"))
            }
            Format::Simple | Format::Ndjson => Ok(()),
        }
    }

    /// The object that a value is, as it is shown.
    fn object(&self, kv: &KeyValue<'_>) -> Option<Map<String, Value>> {
        let cluster = self.cluster.as_ref()?;
        let mut object = Object::decode(kv.value).ok()?;
        cluster.serve(&mut object, kv.mod_revision);
        self.objects.hide(kv.key, &mut object);
        Some(object.json)
    }

    fn decoded(&mut self, kv: KeyValue<'_>, object: Map<String, Value>) -> io::Result<()> {
        let first = std::mem::take(&mut self.first);
        match self.args.write_out {
            Format::Simple if self.args.print_value_only => {
                self.out.write_all(if first { b"" } else { b"---\n" })?;
                self.out.write_all(yaml::document(&object).as_bytes())
            }
            Format::Simple => {
                writeln!(self.out, "{}", show_key(kv.key))?;
                self.out.write_all(yaml::document(&object).as_bytes())
            }
            Format::Json | Format::Ndjson => {
                let json = self.args.write_out == Format::Json;
                self.out.write_all(match (json, first) {
                    (true, true) => b",\"kvs\":[",
                    (true, false) => b",",
                    (false, _) => b"",
                })?;
                json::write(&mut *self.out, &KvJson::of_object(kv, object))?;
                self.out.write_all(if json { b"" } else { b"\n" })
            }
            Format::Fields => {
                self.fields(KeyValue { value: b"", ..kv })?;
                writeln!(self.out, "\"Object\" : {}", kube_json::object_text(&object, Layout::LINE))
            }
        }
    }

    fn kv(&mut self, kv: KeyValue<'_>) -> io::Result<()> {
        if let Some(object) = self.object(&kv) {
            return self.decoded(kv, object);
        }
        let hidden = self.cluster.as_ref().and_then(|_| self.objects.hidden(kv.key, kv.value));
        self.hidden += u64::from(hidden.is_some());
        let kv = KeyValue { value: hidden.as_deref().map_or(kv.value, str::as_bytes), ..kv };
        match self.args.write_out {
            Format::Simple => self.simple(kv),
            Format::Json => {
                self.out.write_all(if std::mem::take(&mut self.first) { b",\"kvs\":[" } else { b"," })?;
                json::write(&mut *self.out, &KvJson::from(kv))
            }
            Format::Ndjson => {
                json::write(&mut *self.out, &KvJson::from(kv))?;
                self.out.write_all(b"\n")
            }
            Format::Fields => self.fields(kv),
        }
    }

    fn fields(&mut self, kv: KeyValue<'_>) -> io::Result<()> {
        let out = &mut *self.out;
        writeln!(out, "\"Key\" : {}", go_quote(kv.key))?;
        writeln!(out, "\"CreateRevision\" : {}", kv.create_revision)?;
        writeln!(out, "\"ModRevision\" : {}", kv.mod_revision)?;
        writeln!(out, "\"Version\" : {}", kv.version)?;
        writeln!(out, "\"Value\" : {}", go_quote(kv.value))?;
        if self.args.hex {
            writeln!(out, "\"Lease\" : {:#}", kv.lease_id())
        } else {
            writeln!(out, "\"Lease\" : {}", kv.lease)
        }
    }

    fn simple(&mut self, kv: KeyValue<'_>) -> io::Result<()> {
        let out = &mut *self.out;
        if self.args.hex {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
            if !self.args.print_value_only {
                writeln!(out, "{}", hex(kv.key))?;
            }
            return writeln!(out, "{}", hex(kv.value));
        }
        if self.terminal {
            if !self.args.print_value_only {
                writeln!(out, "{}", show_key(kv.key))?;
            }
            return writeln!(out, "{}", show_value(kv.value));
        }
        if !self.args.print_value_only {
            out.write_all(kv.key)?;
            out.write_all(b"\n")?;
        }
        out.write_all(kv.value)?;
        out.write_all(b"\n")
    }

    fn end(&mut self, totals: RangeTotals) -> io::Result<()> {
        let RangeTotals { count, more } = totals;
        match self.args.write_out {
            Format::Json => {
                if !self.first {
                    self.out.write_all(b"]")?;
                }
                if more {
                    self.out.write_all(b",\"more\":true")?;
                }
                if count > 0 {
                    write!(self.out, ",\"count\":{count}")?;
                }
                self.out.write_all(b"}\n")
            }
            Format::Fields => writeln!(self.out, "\"More\" : {more}\n\"Count\" : {count}"),
            Format::Simple if self.args.count_only => writeln!(self.out, "{count}"),
            Format::Ndjson if self.args.count_only => writeln!(self.out, "{{\"count\":{count}}}"),
            Format::Simple | Format::Ndjson => Ok(()),
        }
    }
}
