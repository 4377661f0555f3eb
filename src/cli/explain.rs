use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use coldbolt::words::finding::{Code, Severity};
use serde_json::{Value, json};

use super::context::{Context, Done, Verdict};
use super::out::{self, Form, table};

/// Explain a finding: what it means, what etcd does about it, what to do.
///
/// A finding's code stands in brackets at the end of its line. Without a code, all of them are listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt explain page-shared
  coldbolt explain -w json")]
pub struct Args {
    /// The code.
    #[arg(value_name = "CODE", value_parser = codes(), hide_possible_values = true)]
    code: Option<Code>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

fn codes() -> impl TypedValueParser<Value = Code> {
    let values = Code::ALL.iter().map(|code| PossibleValue::new(code.name()).help(code.meaning()));
    PossibleValuesParser::new(values).try_map(|name| Code::from_name(&name).ok_or("no such code"))
}

fn object(code: Code) -> Value {
    let mut object = json!({
        "code": code,
        "severity": code.severity(),
        "meaning": code.meaning(),
        "etcd": code.etcd(),
        "remedy": code.remedy(),
    });
    if let Some(note) = code.as_note() {
        object["as_note"] = note.into();
    }
    object
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let out = &mut *context.out;
    let codes = args.code.as_ref().map_or(Code::ALL, std::slice::from_ref);
    if args.write_out == Form::Json {
        let codes: Vec<Value> = codes.iter().copied().map(object).collect();
        out::json(out, &json!({"schema": "coldbolt/explain/1", "codes": codes}))?;
    } else if let Some(code) = args.code {
        writeln!(out, "{code} ({})\n", code.severity())?;
        for (name, text) in [("Meaning", code.meaning()), ("etcd", code.etcd()), ("Remedy", code.remedy())] {
            writeln!(out, "{name:<8} {text}")?;
        }
        if let Some(note) = code.as_note() {
            writeln!(out, "{:<8} {note} {}", "As note", code.remedy_of(Severity::Note))?;
        }
    } else {
        let rows = codes
            .iter()
            .map(|code| [code.to_string(), code.severity().to_string(), code.meaning().to_owned()]);
        writeln!(out, "{}", table(["CODE", "SEVERITY", "MEANING"], rows))?;
    }
    Ok(Verdict::Good)
}
