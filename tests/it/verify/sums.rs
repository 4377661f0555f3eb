//! A verdict is the sum of its parts, whatever they are and in whatever order they come.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use coldbolt::Severity;
use coldbolt::bolt::writer::{FreelistPage, Options};
use coldbolt::codec::checksum::sha256;
use coldbolt::ops::verify::policy::{Rule, RuleResult, RuleSeverity};
use coldbolt::ops::verify::{
    Answer, Judged, Outcome, Unreadable, Verdict, Verification, VerifyOptions, verify,
};
use coldbolt::words::monitor::Quiet;
use proptest::prelude::*;
use serde_json::Value;
use support::backup::Backup;
use support::buckets::Buckets;
use support::image::Image;
use support::{coldbolt_in, command, fixture};

fn base() -> Verification {
    verify(fixture("small-3.5.1/snapshot.db"), &VerifyOptions::default(), &Quiet).unwrap()
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::Passed,
    Outcome::Warned,
    Outcome::Failed,
    Outcome::NotRun,
    Outcome::Inconclusive,
    Outcome::NotApplicable,
];

type Parts = (Vec<Outcome>, Vec<(RuleSeverity, Option<bool>)>, Option<Severity>);

fn parts() -> impl Strategy<Value = Parts> {
    let severity = prop_oneof![Just(RuleSeverity::Error), Just(RuleSeverity::Warning)];
    let rule = (severity, prop_oneof![Just(None), Just(Some(false)), Just(Some(true))]);
    let worst = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Severity::Note)),
        1 => Just(Some(Severity::Warning)),
        1 => Just(Some(Severity::Damage)),
    ];
    let levels = prop::collection::vec(prop::sample::select(OUTCOMES.to_vec()), 6);
    (levels, prop::collection::vec(rule, 0..4), worst)
}

fn made(base: &Verification, (levels, rules, worst): &Parts) -> Verification {
    let mut made = base.clone();
    made.levels.iter_mut().zip(levels).for_each(|(level, outcome)| level.outcome = *outcome);
    made.worst = *worst;
    let rule = |(severity, passed): &(RuleSeverity, Option<bool>)| RuleResult {
        id: Rule::Trailer,
        severity: *severity,
        keys: None,
        passed: *passed,
        measured: Value::Null,
        limit: Value::Null,
        message: String::new(),
    };
    made.policy = rules.iter().map(rule).collect();
    made.verdict = made.judge();
    made
}

proptest! {
    #[test]
    fn an_input_is_good_only_if_something_was_looked_at_and_nothing_speaks_against_it(parts in parts()) {
        let verification = made(&base(), &parts);
        let (levels, rules, worst) = &parts;
        let any = |outcome| levels.contains(&outcome);
        let rule = |passed| rules.contains(&(RuleSeverity::Error, passed));
        let looked = any(Outcome::Passed) || any(Outcome::Warned);
        let due = if any(Outcome::Failed) || rule(Some(false)) || *worst == Some(Severity::Damage) {
            Verdict::Bad
        } else if any(Outcome::Inconclusive) || rule(None) {
            Verdict::Inconclusive
        } else if looked {
            Verdict::Good
        } else {
            Verdict::Unreadable
        };
        prop_assert_eq!(verification.verdict, due);
    }

    #[test]
    fn no_input_more_and_no_other_order_makes_an_answer_better(
        inputs in prop::collection::vec(prop_oneof![3 => parts().prop_map(Some), 1 => Just(None)], 0..5),
        turn in 0usize..5,
    ) {
        let base = base();
        let answer = |inputs: &[Option<Parts>]| {
            let mut answer = Answer::default();
            for input in inputs {
                match input {
                    Some(parts) => {
                        let judged = Judged { verification: made(&base, parts), took: Duration::ZERO };
                        answer.files.push(judged);
                    }
                    None => answer.unreadable.push(Unreadable { path: String::new(), error: String::new() }),
                }
            }
            answer.verdict = answer.judge();
            answer
        };
        let all = answer(&inputs);
        let mut turned = inputs.clone();
        turned.rotate_left(turn.min(inputs.len()));
        prop_assert_eq!(answer(&turned).verdict, all.verdict);
        for end in 1..inputs.len() {
            prop_assert!(answer(&inputs[..end]).verdict <= all.verdict);
        }
        let each = all.files.iter().map(|file| file.verification.verdict);
        prop_assert_eq!(all.verdict == Verdict::Good, !inputs.is_empty()
            && all.unreadable.is_empty() && each.clone().all(|verdict| verdict == Verdict::Good));
        prop_assert_eq!(all.strictly() == Verdict::Good, all.verdict == Verdict::Good);
        prop_assert!(all.strictly() >= all.verdict);
    }
}

/// Of the files that are there, in every combination, with a reader and with one that goes away.
#[test]
fn the_exit_code_is_that_of_the_worst_input_whether_or_not_somebody_reads_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    Backup::of(3).write(&at("good.db"));
    Backup { trailer: false, ..Backup::of(3) }.write(&at("bare.db"));
    let mut bad = Backup::of(3).bytes();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(at("bad.db"), bad).unwrap();
    fs::write(at("odd"), "hello").unwrap();
    // From the best to the worst, each with its exit code, and strictly.
    let files = [("good.db", 0, 0), ("bare.db", 4, 1), ("odd", 3, 3), ("bad.db", 1, 1)];
    for set in 1..1usize << files.len() {
        let chosen: Vec<_> = (0..files.len()).filter(|i| set & (1 << i) != 0).map(|i| files[i]).collect();
        let names: Vec<&str> = chosen.iter().map(|file| file.0).collect();
        let code = chosen.last().unwrap().1;
        let strictly = if chosen.iter().any(|file| file.2 == 1) { 1 } else { code };
        for (strict, due) in [(&[][..], code), (&["--strict"], strictly)] {
            let args = [&["verify"], &names[..], strict].concat();
            let heard = coldbolt_in(dir.path(), &args).code;
            let mut child = command(&args)
                .current_dir(dir.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            drop(child.stdout.take());
            let unheard = child.wait().unwrap().code();
            assert_eq!((heard, unheard), (due, Some(due)), "{args:?}");
        }
    }
}

#[test]
fn a_leaked_page_is_a_warning_that_names_who_refuses_it_and_bad_if_strict() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { freelist: FreelistPage::Stored, ..Options::default() };
    let mut image = Image { trailer: false, ..Image::snapshot(Buckets::good().database(options)) };
    image.grow(1);
    let mut bytes = image.bytes;
    bytes.extend(sha256(&bytes));
    fs::write(dir.path().join("leaked.db"), bytes).unwrap();
    let run = |args: &[&str]| coldbolt_in(dir.path(), [&["verify", "leaked.db"], args].concat());
    run(&[]).says(0, &["warning: ", "[page-leaked]"]);
    run(&[]).shows(0, &["bbolt check and etcdutl snapshot status call the file bad for it"]);
    run(&["--strict"]).says(1, &["[page-leaked]"]);
    coldbolt_in(dir.path(), ["explain", "page-leaked"])
        .shows(0, &["etcdutl snapshot status", "verify --strict"]);
}
