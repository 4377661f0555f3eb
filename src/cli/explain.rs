use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use coldbolt::kube::risk::RiskRule;
use coldbolt::words::finding::{Code, Severity};
use serde_json::{Value, json};

use super::context::{Context, Done, Verdict};
use super::out::{self, Form, table};

/// Explain a finding: what it means, what etcd does about it, what to do. Or a rule of `kube security`: what it means,
/// whose guidance it is from, what to look at.
///
/// A finding's code stands in brackets at the end of its line. Without a code, all of them are listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt explain page-shared
  coldbolt explain rbac-escalate
  coldbolt explain -w json")]
pub struct Args {
    /// The code.
    #[arg(value_name = "CODE", value_parser = codes(), hide_possible_values = true)]
    code: Option<Explained>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

#[derive(Debug, Clone, Copy)]
enum Explained {
    Finding(Code),
    Risk(RiskRule),
}

fn codes() -> impl TypedValueParser<Value = Explained> {
    let codes = Code::ALL.iter().map(|code| PossibleValue::new(code.name()).help(code.meaning()));
    let rules = RiskRule::ALL.iter().map(|rule| PossibleValue::new(rule.name()).help(rule.meaning()));
    PossibleValuesParser::new(codes.chain(rules)).try_map(|name| {
        let code = Code::from_name(&name).map(Explained::Finding);
        code.or_else(|| RiskRule::from_name(&name).map(Explained::Risk)).ok_or("no such code")
    })
}

fn risk(rule: RiskRule) -> Value {
    json!({
        "rule": rule,
        "severity": rule.severity(),
        "meaning": rule.meaning(),
        "guidance": rule.guidance(),
        "look": rule.look(),
    })
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
    let (codes, rules): (&[Code], &[RiskRule]) = match &args.code {
        None => (Code::ALL, RiskRule::ALL),
        Some(Explained::Finding(code)) => (std::slice::from_ref(code), &[]),
        Some(Explained::Risk(rule)) => (&[], std::slice::from_ref(rule)),
    };
    if args.write_out == Form::Json {
        let codes: Vec<Value> = codes.iter().copied().map(object).collect();
        let rules: Vec<Value> = rules.iter().copied().map(risk).collect();
        out::json(out, &json!({"schema": "coldbolt.explain/1", "codes": codes, "rules": rules}))?;
        return Ok(Verdict::Good);
    }
    match args.code {
        Some(Explained::Finding(code)) => {
            writeln!(out, "{code} ({})\n", code.severity())?;
            for (name, text) in
                [("Meaning", code.meaning()), ("etcd", code.etcd()), ("Remedy", code.remedy())]
            {
                writeln!(out, "{name:<8} {text}")?;
            }
            if let Some(note) = code.as_note() {
                writeln!(out, "{:<8} {note} {}", "As note", code.remedy_of(Severity::Note))?;
            }
        }
        Some(Explained::Risk(rule)) => {
            writeln!(out, "{rule} ({})\n", rule.severity())?;
            for (name, text) in
                [("Meaning", rule.meaning()), ("Guidance", rule.guidance()), ("Look at", rule.look())]
            {
                writeln!(out, "{name:<8} {text}")?;
            }
        }
        None => {
            let row =
                |name: &str, severity: String, meaning: &str| [name.to_owned(), severity, meaning.to_owned()];
            let codes =
                codes.iter().map(|code| row(code.name(), code.severity().to_string(), code.meaning()));
            let rules =
                rules.iter().map(|rule| row(rule.name(), rule.severity().to_string(), rule.meaning()));
            writeln!(out, "{}", table(["CODE", "SEVERITY", "MEANING"], codes.chain(rules)))?;
        }
    }
    Ok(Verdict::Good)
}
