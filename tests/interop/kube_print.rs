//! Templates, columns, orders and selectors: asked of Go's own code anew, those that are recorded and such as are made
//! at random.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use support::kube_print::{agree, recorded};
use support::packed::lines;
use support::peers;

/// How often Go is asked each: the order of some answers is one of chance.
const TIMES: u32 = 40;

/// Questions that are made at random.
const RANDOM: usize = 4000;

fn ask(program: &Path, questions: &[Value]) -> Vec<Value> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let answers: Vec<Value> = answers.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(answers.len(), questions.len());
    answers
}

fn judge(questions: &[Value], answers: &[Value]) {
    let differ: Vec<_> = questions
        .iter()
        .zip(answers)
        .filter_map(|(question, answer)| {
            agree(question, answer).err().map(|why| format!("{why}\n  object {}", question["object"]))
        })
        .collect();
    let some: Vec<_> = differ.iter().take(20).map(String::as_str).collect();
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), questions.len(), some.join("\n"));
}

#[test]
fn go_answers_as_it_is_recorded() {
    let Some(program) = peers::find("kube-print/kube-print") else { return };
    let questions = lines(&recorded());
    let answers = ask(&program, &questions);
    judge(&questions, &answers);
    let once = |line: &&Value| line["times"] == 1;
    for (recorded, asked) in questions.iter().zip(&answers).filter(|(recorded, _)| once(recorded)) {
        let same = |name: &str| recorded[name] == asked[name];
        assert!(same("out") && same("error") && same("panic"), "{recorded}\n{asked}");
    }
}

/// A value with few fields at a level, so that Go's order of chance comes to that of names soon.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..12).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        prop_oneof![Just(1.5), Just(1e6), Just(123_456.5), Just(1e21), Just(1e-5), Just(0.0001)]
            .prop_map(Value::from),
        "[a-c]{0,2}|[0-9]{1,3}(m|k|Mi)?|<&>|ü|it's|a\tb|x\ny".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 14, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]", inner, 0..3)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// A piece of a path, mostly one that is right.
fn step() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "\\.[a-d]".prop_map(String::from),
        2 => "\\['[a-d]'(,'[a-d]')?\\]",
        3 => Just("[*]".to_owned()),
        2 => Just(".*".to_owned()),
        1 => Just("..".to_owned()),
        1 => "\\.\\.[a-d]",
        3 => "\\[-?[0-3]?(:-?[0-4]?)?(:[0-2]?)?\\]",
        1 => "\\[[0-2],-?[0-2]\\]",
        2 => "\\[\\?\\(@(\\.[a-d])?(==|!=|<|>|<=|>=)([0-3]|1\\.5|'[a-c]?'|\"[a-c]\"|true|@\\.[a-d])\\)\\]",
        1 => "\\[\\?\\(@(\\.[a-d]|\\[[0-2]\\]){1,2}\\)\\]",
        1 => "[ -~]{1,3}",
    ]
}

fn template() -> impl Strategy<Value = String> {
    let path = proptest::collection::vec(step(), 0..5).prop_map(|steps| steps.concat()).boxed();
    let action = path.clone().prop_map(|path| format!("{{{path}}}")).boxed();
    let text = prop_oneof![
        "[a-z \n]{0,3}".prop_map(String::from),
        "\\{\"(\\\\n|\\\\t|[a-z]|\\\\x4[0-9]|\\\\u00e9)\"\\}",
        "\\{('[a-z]'|[0-9]|-1\\.5|true)\\}",
    ];
    let part = prop_oneof![3 => action.clone(), 1 => text];
    let parts = proptest::collection::vec(part, 0..4).prop_map(|parts| parts.concat()).boxed();
    let range = (path, parts.clone(), any::<bool>())
        .prop_map(|(path, body, ends)| format!("{{range {path}}}{body}{}", if ends { "{end}" } else { "" }))
        .boxed();
    let nested = (parts.clone(), range.clone(), parts.clone()).prop_map(|(a, b, c)| format!("{a}{b}{c}"));
    prop_oneof![3 => action, 2 => parts, 2 => range, 1 => nested, 1 => "[ -~]{0,12}".prop_map(String::from)]
}

fn question() -> impl Strategy<Value = Value> {
    let fields = proptest::collection::btree_map("[a-d]", value(), 0..4);
    let object = fields.prop_map(|fields| {
        let mut object: serde_json::Map<_, _> = fields.into_iter().collect();
        object.insert("apiVersion".to_owned(), "v1".into());
        object.insert("kind".to_owned(), "T".into());
        Value::Object(object)
    });
    let columns =
        proptest::collection::vec(step(), 1..4).prop_map(|steps| format!("A:{},KIND:.kind", steps.concat()));
    let labels =
        "(!? ?[a-c]( ?(=|==|!=|>|<) ?[a-c0-9]{0,2}| (not)?in \\([a-c, ]{0,5}\\))?,?){0,3}|[ -~]{0,8}";
    let fields = "([a-c.]{1,3}(=|==|!=)[a-c\\\\,=]{0,3},?){0,3}|[ -~]{0,8}";
    (object, template(), columns, labels, fields, 0..10, any::<bool>()).prop_map(
        |(object, template, columns, labels, fields, which, flag)| {
            let (what, template, object) = match which {
                0..=4 => ("jsonpath", template, object),
                5 => ("jsonpath-as-json", template, object),
                6 | 7 => ("custom-columns", columns, object),
                8 => ("labels", labels, json!({"a": "b", "b": "7", "c": ""})),
                _ => ("fields", fields, json!({"e": "b"})),
            };
            json!({
                "what": what, "template": template, "object": object, "times": TIMES,
                "strict": flag && what == "jsonpath", "no_headers": flag,
            })
        },
    )
}

/// The same questions each time; `COLDBOLT_SEED` draws others.
#[test]
fn what_is_made_at_random_is_answered_as_go_answers_it() {
    let Some(program) = peers::find("kube-print/kube-print") else { return };
    let seed = std::env::var("COLDBOLT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let questions = question();
    let questions: Vec<Value> =
        (0..RANDOM).map(|_| questions.new_tree(&mut runner).unwrap().current()).collect();
    let answers = ask(&program, &questions);
    judge(&questions, &answers);
    let found = answers.iter().filter(|answer| answer["out"].is_array()).count();
    assert!(found > RANDOM / 4, "only {found} of them are no error");
}
