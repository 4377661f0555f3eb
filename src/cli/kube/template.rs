//! Outputs that are made of what the user writes: `-o jsonpath=...`, `-o custom-columns=...`.

use std::io::Write;
use std::path::Path;

use coldbolt::kube::custom::CustomColumns;
use coldbolt::kube::jsonpath::{ExecuteError, JsonPath};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;
use serde_json::{Value, json};

use super::super::context::Fail;
use super::super::input;
use super::super::keyspace::{on_terminal, show_value};
use super::super::out::clean;
use super::args::{Args, Output, TemplateForm};

/// Bytes of the longest template that is read.
const LIMIT: u64 = 1 << 20;

/// A template, and what it is to be filled with.
pub enum Template {
    JsonPath { text: String, path: JsonPath, objects: Vec<Value> },
    Columns { columns: CustomColumns, began: bool },
}

impl Template {
    /// The template that is asked for.
    pub fn of(args: &Args) -> Result<Option<Template>, Fail> {
        let Output::Template(form, argument) = &args.output else { return Ok(None) };
        let name = form.name();
        if argument.is_empty() {
            return Err(Fail::Usage(match form.columns() {
                true => "custom-columns format specified but no custom columns given".to_owned(),
                false => "template format specified but no template given".to_owned(),
            }));
        }
        let text = match form {
            TemplateForm::JsonPathFile | TemplateForm::CustomColumnsFile => read(Path::new(argument))?,
            _ => argument.clone(),
        };
        let wrong = |why: String| Fail::Usage(format!("-o {name}: {why}"));
        let columns = |columns| Some(Template::Columns { columns, began: false });
        match form {
            TemplateForm::CustomColumns => {
                CustomColumns::parse(&text).map(columns).map_err(|why| wrong(why.to_string()))
            }
            TemplateForm::CustomColumnsFile => {
                CustomColumns::of_file(&text).map(columns).map_err(|why| wrong(why.to_string()))
            }
            _ => {
                let path = JsonPath::parse(&text)
                    .map_err(|why| wrong(format!("error parsing jsonpath {text}, {why}")))?
                    .missing_is_error(!args.allow_missing_template_keys)
                    .as_json(*form == TemplateForm::JsonPathAsJson);
                Ok(Some(Template::JsonPath { text, path, objects: Vec::new() }))
            }
        }
    }

    /// Takes an object.
    pub fn object(&mut self, object: Value, with_header: bool) -> Result<(), Fail> {
        match self {
            Template::JsonPath { objects, .. } => objects.push(object),
            Template::Columns { columns, began } => {
                begin(columns, began, with_header);
                columns.object(&object).map_err(|why| Fail::Refused(format!("-o custom-columns: {why}")))?;
            }
        }
        Ok(())
    }

    /// Prints what it has become; several objects are a List to a template.
    pub fn end(&mut self, several: bool, with_header: bool, out: &mut dyn Write) -> Result<(), Fail> {
        match self {
            Template::JsonPath { text, path, objects } => {
                let object = match several {
                    true => json!({
                        "apiVersion": "v1", "items": std::mem::take(objects), "kind": "List",
                        "metadata": {"resourceVersion": ""},
                    }),
                    // What was not found is told elsewhere.
                    false => match objects.pop() {
                        Some(object) => object,
                        None => return Ok(()),
                    },
                };
                let refused = |why: ExecuteError| match why {
                    ExecuteError::Io(error) => Fail::from(error),
                    ExecuteError::Path(why) => {
                        Fail::Refused(format!("error executing jsonpath {text:?}: {why}"))
                    }
                };
                if !on_terminal() {
                    return path.execute(&object, out).map_err(refused);
                }
                let mut bytes = Vec::new();
                path.execute(&object, &mut bytes).map_err(refused)?;
                Ok(out.write_all(show_value(&bytes).as_bytes())?)
            }
            Template::Columns { columns, began } => {
                if several {
                    begin(columns, began, with_header);
                }
                Ok(out.write_all(clean(&columns.text()).as_bytes())?)
            }
        }
    }
}

/// A file with a template; `-` is standard input.
fn read(path: &Path) -> Result<String, Error> {
    let text = input::text(path, LIMIT).map_err(|error| Error::unreadable(path, Cause::Io(error)))?;
    text.ok_or_else(|| {
        let what = format!("is longer than {LIMIT} bytes: no template");
        Error::unreadable(path, Cause::Content(what))
    })
}

fn begin(columns: &mut CustomColumns, began: &mut bool, with_header: bool) {
    if with_header && !*began {
        columns.header();
    }
    *began = true;
}
