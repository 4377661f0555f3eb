use std::path::PathBuf;

use coldbolt::MemberId;
use coldbolt::etcd::Input;
use coldbolt::ops::rank::{Advice, Candidate, Health, RankOptions, RankReport, Uncommitted, rank};
use coldbolt::replay::apply::Version;
use coldbolt::store::compare::CompareReport;
use coldbolt::words::error::Told;
use serde_json::{Value, json};

use super::context::{Context, Done, Fail, Verdict};
use super::out::{self, Form, clean, json as print_json, plain_table};
use super::{compare, hint};

/// Which member of a dead cluster to recover from.
///
/// Each directory is verified and its log applied in memory; nothing is written. The best member that is whole comes
/// first, as raft elects: the highest term of the last entry, then the highest index; then the highest revision. What
/// of its log it does not know to be committed is looked for in the logs of the others, and the command that makes
/// the backup is printed. Give the directories of all members that are left, also of damaged ones: each has a voice.
///
/// Exit codes: 0 it is clear, and the members agree; 1 one is damaged or missing, or they do not agree; 3 none could
/// be read; 4 they cannot be compared.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt rank m1/data m2/data m3/data")]
pub struct Args {
    /// The members' data directories.
    #[arg(value_name = "DIR", required = true)]
    directories: Vec<PathBuf>,
    /// The log of each directory, if they are elsewhere (--wal-dir of etcd): once for each DIR, in their order.
    #[arg(long, value_name = "DIR")]
    wal_dir: Vec<PathBuf>,
    /// The etcd that wrote the files, as 3.5 or 3.5.12 [default: as the files tell].
    #[arg(long, value_name = "VERSION")]
    etcd_version: Option<Version>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if !args.wal_dir.is_empty() && args.wal_dir.len() != args.directories.len() {
        return Err(Fail::Usage("--wal-dir is to be said once for each DIR".to_owned()));
    }
    let logs = args.wal_dir.iter().cloned().map(Some).chain(std::iter::repeat(None));
    let inputs = args.directories.iter().zip(logs).map(|(dir, log)| Input::from(dir).with_wal_dir(log));
    let mut report = rank(inputs, &RankOptions { version: args.etcd_version }, context.monitor)?;
    hint::findings(&mut report.findings);
    for member in &mut report.members {
        hint::findings(&mut member.findings);
        hint::notes(&mut member.error);
    }
    let command = command(&report, args.etcd_version.as_ref());
    match args.write_out {
        Form::Json => print_json(context.out, &document(&report, command))?,
        Form::Table => writeln!(context.out, "{}", text(&report, command))?,
    }
    let compared = report.comparisons.iter().all(CompareReport::comparable);
    Ok(if report.members.iter().all(|member| member.health == Health::Unreadable) {
        Verdict::Unreadable
    } else if !report.clear || !report.agree() {
        Verdict::Bad
    } else if compared {
        Verdict::Good
    } else {
        Verdict::Inconclusive
    })
}

/// The command that makes a backup of the best member.
fn command(report: &RankReport, version: Option<&Version>) -> Option<String> {
    let directory = quote(&report.members.first()?.directory);
    let command = match report.advice.as_ref()? {
        Advice::Copy => format!("coldbolt copy {directory} -o backup.db"),
        Advice::CopyAll => format!("coldbolt copy {directory} -o backup.db --include-uncommitted"),
        Advice::ReplayTo(index) => {
            format!("coldbolt replay {directory} --to-index {index} --include-uncommitted -o backup.db")
        }
    };
    let version = version.map_or_else(String::new, |version| format!(" --etcd-version {version}"));
    Some(command + &version)
}

/// As a shell takes it for one word.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn text(report: &RankReport, command: Option<String>) -> String {
    let rows = report.members.iter().map(row);
    let header =
        ["DIRECTORY", "MEMBER", "NAME", "LAST ENTRY", "COMMITTED", "IN DB", "REVISION", "TERM, VOTE", ""];
    let mut text = plain_table(header, rows);
    for member in &report.members {
        if let Some(error) = &member.error {
            text += &format!("\n{}: {}", member.directory, clean(&error.text));
        }
    }
    if let (true, Some(best)) = (report.clear, report.members.first()) {
        text += &format!("\n\nbest: {}: {}", best.directory, report.reason);
    } else {
        text += &format!("\n\nno member is best: {}", report.reason);
    }
    if let Some(entries) = &report.uncommitted {
        text += &format!("\n{}", uncommitted_entries(entries));
    }
    for comparison in &report.comparisons {
        text += &match &comparison.members[..] {
            [best, other] if comparison.comparable() && comparison.divergences.is_empty() => {
                format!("\n{} agrees with {} at revision {}", other.file, best.file, comparison.revision)
            }
            _ => format!("\n\n{}", compare::text(comparison)),
        };
    }
    if let Some(command) = command {
        text += &format!("\n\n{command}");
    }
    text
}

fn row(member: &Candidate) -> [String; 9] {
    let revision = match (member.revision, member.revision_with_all) {
        (Some(known), Some(all)) if all > known => format!("{known}, {all} with all"),
        (known, _) => known.map_or_else(|| "-".to_owned(), |known| known.to_string()),
    };
    let health = match member.health {
        Health::Good => "good",
        Health::Warned => "warnings",
        Health::Damaged => "damaged",
        Health::Unreadable => "unreadable",
    };
    let log = |text: String| if member.has_log { text } else { "-".to_owned() };
    [
        member.directory.clone(),
        member.member.map_or_else(|| "-".to_owned(), MemberId::padded),
        member.name.as_ref().map_or_else(|| "-".to_owned(), Told::to_string),
        if member.has_log {
            format!("{} of term {}", member.last_index, member.last_term)
        } else {
            "no log".to_owned()
        },
        log(member.commit_index.to_string()),
        member.database_index.map_or_else(|| "-".to_owned(), |index| index.to_string()),
        revision,
        log(format!("{}, {:#}", member.term, member.vote)),
        health.to_owned(),
    ]
}

/// What became of its last entries, in a sentence.
fn uncommitted_entries(entries: &Uncommitted) -> String {
    let Uncommitted { first, last, voters, absent, .. } = entries;
    let mut said = format!("its log from entry {first} to {last} is not known to it to be committed");
    if let Some(known) = entries.committed_to {
        said += &format!("; up to {known} another member knows that it is");
    }
    if let Some(to) = entries.majority_to.filter(|to| entries.committed_to.is_none_or(|known| *to > known)) {
        let holders = entries.holders;
        said += &format!(
            "; up to {to} it is on {holders} of {voters} voters, a majority: \
             nothing else was committed in its place"
        );
    }
    let settled = entries.committed_to.max(entries.majority_to);
    if let Some(from) = entries.replaced_from {
        said += &format!("; from {from} on others were committed in its place");
    } else if settled.is_none_or(|settled| settled < *last) {
        let rest = if settled.is_some() { "the rest" } else { "it" };
        said += &if entries.rest_possible {
            format!("; {rest} may have been acknowledged: {absent} of {voters} voters cannot be asked")
        } else {
            format!("; {rest} was never acknowledged: most voters do not have it")
        };
    }
    said
}

fn document(report: &RankReport, command: Option<String>) -> Value {
    let head = json!({ "schema": "coldbolt.rank/1", "agree": report.agree(), "command": command });
    let mut document = out::document(head, report);
    if let Some(all) = document.as_object_mut() {
        all.insert("comparisons".to_owned(), report.comparisons.iter().map(compare::document).collect());
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_word_of_the_command() {
        assert_eq!(quote("/var/lib/etcd"), "/var/lib/etcd");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn what_became_of_the_last_entries_is_said_in_full() {
        let none = Uncommitted {
            first: 4.into(),
            last: 9.into(),
            committed_to: None,
            majority_to: None,
            holders: 0,
            replaced_from: None,
            voters: 3,
            absent: 1,
            rest_possible: true,
        };
        let head = "its log from entry 4 to 9 is not known to it to be committed";
        assert_eq!(
            uncommitted_entries(&none),
            format!("{head}; it may have been acknowledged: 1 of 3 voters cannot be asked")
        );
        let some = Uncommitted {
            committed_to: Some(5.into()),
            majority_to: Some(7.into()),
            holders: 2,
            absent: 0,
            rest_possible: false,
            ..none
        };
        let known = "up to 5 another member knows that it is";
        let majority = "up to 7 it is on 2 of 3 voters, a majority: nothing else was committed in its place";
        assert_eq!(
            uncommitted_entries(&some),
            format!(
                "{head}; {known}; {majority}; the rest was never acknowledged: most voters do not have it"
            )
        );
        let replaced = Uncommitted { majority_to: None, replaced_from: Some(6.into()), ..some };
        assert_eq!(
            uncommitted_entries(&replaced),
            format!("{head}; {known}; from 6 on others were committed in its place")
        );
    }
}
