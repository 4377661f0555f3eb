//! The queries that the README tells, run by DuckDB on what is exported of a fixture, against what coldbolt itself
//! answers.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use support::{coldbolt_in, peers};

const SNAPSHOT: &str = "fixtures/etcd-3.7.1/snapshot.db";

fn answer(dir: &Path, args: &[&str]) -> String {
    coldbolt_in(dir, args).says(0, &[]).text().to_owned()
}

fn lines(dir: &Path, args: &[&str]) -> Vec<Value> {
    answer(dir, args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The commands and queries of the README's section.
fn told() -> (Vec<String>, Vec<String>) {
    let readme = include_str!("../README.md");
    let (commands, rest) = readme.split_once("In DuckDB:\n\n```sql\n").unwrap();
    let (queries, _) = rest.split_once("```").unwrap();
    let commands = commands
        .lines()
        .rev()
        .skip_while(|line| line.is_empty())
        .map_while(|line| line.strip_prefix("    $ coldbolt "));
    let commands = commands.map(str::to_owned).collect::<Vec<_>>().into_iter().rev().collect();
    (commands, queries.lines().map(str::to_owned).collect())
}

/// Rows of a query, as DuckDB makes JSON of them.
fn asked(python: &Path, dir: &Path, query: &str) -> Vec<Value> {
    let script = "import duckdb, json, sys\nr = duckdb.sql(sys.argv[1])\nprint(json.dumps([dict(zip(r.columns, row)) for row in r.fetchall()], default=int))";
    let output = peers::command(python, dir).current_dir(dir).args(["-c", script, query]).output().unwrap();
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_queries_of_the_readme_answer_what_coldbolt_answers() {
    let Some(python) = peers::find("duckdb/bin/python") else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), dir.join("fixtures"))
        .unwrap();
    let (commands, queries) = told();
    assert_eq!((commands.len(), queries.len()), (3, 4), "{commands:?} {queries:?}");
    for command in &commands {
        let (args, to) = command.split_once(" > ").unwrap();
        if args.contains("parquet") && !cfg!(feature = "parquet") {
            continue;
        }
        let args: Vec<&str> = args.split(' ').collect();
        let run = coldbolt_in(dir, args);
        run.says(0, &[]);
        std::fs::write(dir.join(to), run.out).unwrap();
    }
    let mut asked_of = Vec::new();
    for query in queries {
        if query.contains(".parquet") && !cfg!(feature = "parquet") {
            continue;
        }
        let rows = asked(&python, dir, &query);
        assert!(!rows.is_empty(), "{query}");
        asked_of.push((query, rows));
    }
    let rows = |word: &str| {
        &asked_of
            .iter()
            .find(|(query, _)| query.contains(word))
            .unwrap_or_else(|| panic!("no query with {word}"))
            .1
    };

    // What fills the database: bytes of values by the first level, of all that is stored.
    let mut due = BTreeMap::<String, (u64, u64)>::new();
    let events = lines(dir, &["events", SNAPSHOT, "-w", "ndjson"]);
    for event in &events {
        let (changes, bytes) =
            due.entry(event["key"].as_str().unwrap().split('/').nth(1).unwrap().to_owned()).or_default();
        *changes += 1;
        *bytes += event["value_len"].as_u64().unwrap_or(0);
    }
    let seen = rows("split_part").iter().map(|row| {
        (
            row["top"].as_str().unwrap().to_owned(),
            (row["changes"].as_u64().unwrap(), row["bytes"].as_u64().unwrap()),
        )
    });
    assert_eq!(seen.collect::<BTreeMap<_, _>>(), due);

    let deleted = rows("type = 'delete'")
        .iter()
        .map(|row| (row["key"].as_str().unwrap(), row["last"].as_i64().unwrap()));
    let due = events.iter().filter(|event| event["type"] == "delete");
    let due = due.map(|event| (event["key"].as_str().unwrap(), event["revision"].as_i64().unwrap()));
    assert_eq!(deleted.collect::<BTreeMap<_, _>>(), due.collect::<BTreeMap<_, _>>());

    let leased = rows("lease IS NOT NULL")
        .iter()
        .map(|row| (row["lease"].as_str().unwrap().to_owned(), row["keys"].as_array().unwrap().len()));
    let leases: Value = serde_json::from_str(&answer(dir, &["leases", SNAPSHOT, "-w", "json"])).unwrap();
    let due = leases["leases"].as_array().unwrap().iter().filter(|lease| lease["attached"] != 0);
    let due = due.map(|lease| {
        (
            lease["id"].as_str().unwrap().to_owned(),
            usize::try_from(lease["attached"].as_u64().unwrap()).unwrap(),
        )
    });
    assert_eq!(leased.collect::<BTreeMap<_, _>>(), due.collect::<BTreeMap<_, _>>());

    if cfg!(feature = "parquet") {
        let greatest = rows("keys.parquet")
            .iter()
            .map(|row| (row["name"].as_str().unwrap().to_owned(), row["value_len"].as_u64().unwrap()));
        let mut due: Vec<_> = lines(dir, &["keys", SNAPSHOT, "-w", "ndjson"])
            .iter()
            .map(|key| (key["key"].as_str().unwrap().to_owned(), key["value_len"].as_u64().unwrap()))
            .collect();
        due.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        due.truncate(5);
        assert_eq!(greatest.collect::<Vec<_>>(), due);
    }
}
