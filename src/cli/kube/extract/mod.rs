//! `kube extract`: objects into files, for another cluster or to look at.

pub mod args;
mod report;
mod sink;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use coldbolt::io::dest;
use coldbolt::kube::cluster::{Cluster, StoredObject};
use coldbolt::kube::decode::Object;
use coldbolt::kube::extract::place::Placer;
use coldbolt::kube::extract::{Chosen, ExtractOptions, Extracted, Extraction, Outcome};
use coldbolt::kube::secret::Redactor;
use coldbolt::kube::serve::hide_managed_fields;
use coldbolt::kube::yaml;

use self::args::Args;
use self::report::Report;
use self::sink::Sink;
use super::super::context::{Context, Done, Fail, Verdict};
use super::super::keyspace::{keep, on_terminal};
use super::super::out::{Form, List, Listing, clean};
use super::get;

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let options = ExtractOptions {
        selector: get::selector(&args.selector)?,
        deleted: args.deleted,
        apply_ready: args.apply_ready,
        references: args.with_references,
        without_managed_fields: !args.show_managed_fields,
    };
    let stream = args.output == Path::new("-");
    if stream && args.write_out == Form::Json {
        return Err(Fail::Usage("-o - and -w json cannot both go to standard output".to_owned()));
    }
    if args.output.extension().is_some_and(|end| end == "json") {
        let what = "-o: objects are written as YAML: into a directory, FILE.tar, FILE.yaml or -; kube get has -o json";
        return Err(Fail::Usage(what.to_owned()));
    }
    if !stream {
        dest::outside(args.common.file.path(), &args.output)?;
    }
    let monitor = context.monitor;
    args.common.file.with(context, |store, out| {
        let cluster = args.common.cluster(store)?;
        let choices = choices(args, &cluster)?;
        let (sink, list) = if stream {
            (Sink::Stream(out), None)
        } else {
            (Sink::create(&args.output)?, list(args, &store.source().name(), out)?)
        };
        let extraction = Extraction::prepare(&cluster, &choices, &options)?;
        let mut work = Work::new(args, &choices, sink, Report::new(list), stream);
        work.all(&extraction)?;
        work.absent(&extraction)?;
        let Work { sink, report, redactor, .. } = work;
        if report.written > 0 {
            sink.finish()?;
        }
        if redactor.is_some_and(|redactor| redactor.redacted() > 0) {
            monitor.say("the data of Secrets is redacted on a terminal: --show-secrets shows it");
        }
        let verdict =
            match (report.found_all() && (report.written > 0 || !report.is_whole()), report.is_whole()) {
                (false, _) => Verdict::Bad,
                (true, false) => Verdict::Inconclusive,
                (true, true) => Verdict::Good,
            };
        let to = if stream { "standard output".to_owned() } else { clean(&args.output.to_string_lossy()) };
        report.end(monitor, &to)?;
        Ok(verdict)
    })
}

fn list<'o>(args: &Args, file: &str, out: &'o mut dyn Write) -> Result<Option<List<'o>>, Fail> {
    if args.write_out != Form::Json {
        return Ok(None);
    }
    Ok(Some(List::begin(out, Listing::Json, "coldbolt.kube-extract/1", file, "objects")?))
}

/// As `kube get` understands kinds and names; in all namespaces only those that are in some.
fn choices(args: &Args, cluster: &Cluster<'_>) -> Result<Vec<Chosen>, Fail> {
    let wanted = get::wanted(&args.kind, &args.names, cluster)?;
    let choice = |get::Wanted { resource, names }| {
        let namespaced = resource.as_ref().is_none_or(|resource| resource.namespaced);
        let other = resource.as_ref().map(|_| "default".to_owned());
        let namespace = args.namespace.clone().or(other).filter(|_| namespaced && !args.all_namespaces);
        Chosen { resource, namespace, names }
    };
    Ok(wanted.into_iter().map(choice).collect())
}

struct Work<'w, 'o> {
    args: &'w Args,
    choices: &'w [Chosen],
    sink: Sink<'o>,
    report: Report<'o>,
    /// What gives files their names; a stream has none.
    places: Option<Placer>,
    redactor: Option<Redactor>,
    /// Names that were asked for and are there, with the number of the choice.
    found: BTreeSet<(usize, String)>,
}

impl<'w, 'o> Work<'w, 'o> {
    fn new(
        args: &'w Args,
        choices: &'w [Chosen],
        sink: Sink<'o>,
        report: Report<'o>,
        stream: bool,
    ) -> Work<'w, 'o> {
        let places = (!stream).then(|| Placer::new(args.apply_ready));
        let redact = stream && on_terminal() && !args.show_secrets;
        let redactor = redact.then(Redactor::keyed);
        Work { args, choices, sink, report, places, redactor, found: BTreeSet::new() }
    }

    /// A directory is in order by the names in it, the others by what is written first.
    fn all(&mut self, extraction: &Extraction<'_>) -> Result<(), Fail> {
        if !self.args.apply_ready || matches!(self.sink, Sink::Dir { .. }) {
            return self.phase(extraction, None);
        }
        (0..Extraction::phases()).try_for_each(|phase| self.phase(extraction, Some(phase)))
    }

    fn phase(&mut self, extraction: &Extraction<'_>, phase: Option<usize>) -> Result<(), Fail> {
        let mut done = Ok(());
        let (redactor, managed) = (self.redactor.clone(), self.args.show_managed_fields);
        let text = |stored: &StoredObject, object: &mut Object| {
            if !managed {
                hide_managed_fields(&mut object.json);
            }
            if let Some(redactor) = &redactor {
                redactor.redact(&stored.kv.key, object);
            }
            let text = yaml::document(&object.json);
            // What is not asked for any more is freed where it was made: the thread that writes has enough to do.
            object.json.retain(|name, _| name == "metadata");
            text
        };
        extraction.each(phase, text, &mut |extracted, outcome| {
            self.note(extracted);
            keep(&mut done, self.one(extracted, outcome))
        })?;
        done
    }

    fn note(&mut self, extracted: &Extracted<'_>) {
        let named = self.choices.iter().enumerate().filter(|(_, choice)| !choice.names.is_empty());
        for (n, _) in named.filter(|(_, choice)| choice.takes(&extracted.key)) {
            self.found.insert((n, extracted.key.name.to_owned()));
        }
    }

    fn one(&mut self, extracted: &Extracted<'_>, outcome: Outcome<'_, String>) -> Result<(), Fail> {
        let report = &mut self.report;
        let (object, removed, text) = match outcome {
            Outcome::Object(object, removed, text) => (object, removed, text),
            Outcome::LeftOut(_, reason) => return Ok(report.left_out(extracted, reason)?),
            Outcome::UnknownKind(_) => return Ok(report.undecoded(extracted, None)?),
            Outcome::NoObject(why) => return Ok(report.undecoded(extracted, Some(why))?),
        };
        let key = &extracted.stored.kv.key;
        let place = self.places.as_mut().map(|places| places.place(&extracted.key, key, &object));
        let path = place.as_ref().map_or("", |place| &*place.path);
        self.sink.put(path, &text)?;
        Ok(report.wrote(extracted, place.as_ref(), &object, &removed)?)
    }

    /// Names what was asked for or is needed, and is not there, and what is no object.
    fn absent(&mut self, extraction: &Extraction<'_>) -> Result<(), Fail> {
        for (n, choice) in self.choices.iter().enumerate() {
            for name in &choice.names {
                if !self.found.contains(&(n, name.clone())) {
                    let kind = choice.resource.as_ref().map_or("object", |resource| &resource.plural);
                    self.report.not_found(kind, name)?;
                }
            }
        }
        for (object, by) in extraction.missing() {
            self.report.missing(&object, by)?;
        }
        let mut done = Ok(());
        extraction.each_other(&mut |stored, own| {
            keep(&mut done, self.report.no_object(stored, own).map_err(Fail::from))
        })?;
        done
    }
}
