use std::path::Path;

use coldbolt::ops::output::OutputForm;
use coldbolt::ops::seal::{self, SealReport, seal_into, unseal_into};
use serde_json::json;

use super::closing::CloseFor;
use super::context::{Context, Done, Verdict};
use super::copy::{closed, pour, temporary};
use super::from_to::FromTo;
use super::input;
use super::out::{Form, clean, json, size};

/// Add the SHA-256 trailer of a snapshot file to a database, and change no byte of its pages.
///
/// etcdutl restores a copied db only with --skip-hash-check. Sealed right after it was copied, it can be checked ever
/// after.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt seal member/snap/db -o backup.db
  coldbolt seal member/snap/db -o backup.db.age --encrypt-to recipients.txt")]
pub struct SealArgs {
    #[command(flatten)]
    both: FromTo,
    #[command(flatten)]
    close: CloseFor,
}

/// Take the SHA-256 trailer off a snapshot file, and change nothing else.
///
/// The trailer must be right: a wrong one is refused, for it is the evidence that a byte has changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt unseal backup.db -o db")]
pub struct UnsealArgs {
    #[command(flatten)]
    both: FromTo,
}

pub fn seal(args: &SealArgs, context: &mut Context<'_>) -> Done {
    let recipients = args.close.recipients(context.monitor)?;
    let form = recipients.as_ref().map_or(OutputForm::Clear, OutputForm::ClosedFor);
    run(&args.both, Some(form), context)
}

pub fn unseal(args: &UnsealArgs, context: &mut Context<'_>) -> Done {
    run(&args.both, None, context)
}

/// Adds the trailer in that form, or takes it off.
fn run(args: &FromTo, sealing: Option<OutputForm<'_>>, context: &mut Context<'_>) -> Done {
    let source = input::database(&args.path)?;
    if args.to_stdout()? {
        let mut file = temporary()?;
        let out = (&mut file, Path::new("(temporary file)"));
        match sealing {
            Some(form) => seal_into(source, out, form, context.monitor)?,
            None => unseal_into(source, out, context.monitor)?,
        };
        pour(file, context.out)?;
        return Ok(Verdict::Good);
    }
    let (schema, report) = match sealing {
        Some(form) => ("coldbolt.seal/1", seal::seal(source, &args.output, form, context.monitor)?),
        None => ("coldbolt.unseal/1", seal::unseal(source, &args.output, context.monitor)?),
    };
    let output = args.output.to_string_lossy();
    if args.write_out == Some(Form::Json) {
        let SealReport { source, bytes, sha256, closed, .. } = report;
        let mut value = json!({
            "schema": schema,
            "source": source,
            "output": output,
            "bytes": bytes,
            "sha256": sha256,
        });
        if let (Some(all), Some(closed)) = (value.as_object_mut(), closed) {
            all.insert("closed".to_owned(), json!(closed));
        }
        json(context.out, &value)?;
    } else {
        writeln!(context.out, "{} ({}), SHA-256 {}", clean(&output), size(report.bytes), report.sha256)?;
        closed(context.out, "closed in an", report.closed.as_ref())?;
    }
    Ok(Verdict::Good)
}
