//! `export -w parquet`, read back with Parquet's own reader. Only in a build with the feature `parquet`.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::basic::{ConvertedType, Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value};
use support::packed::snapshot;
use support::{Input, VERSIONS, coldbolt, command, fixture};

/// A row as ndjson has it. What is text there is told from what is not.
fn json(row: Row) -> Value {
    let mut item = Map::new();
    for (name, field) in row.get_column_iter() {
        let value = match field {
            Field::Bytes(bytes) => {
                let bytes = bytes.data();
                let text = std::str::from_utf8(bytes)
                    .ok()
                    .filter(|text| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
                item.insert(name.clone(), text.map_or(Value::Null, Value::from));
                item.insert(
                    format!("{name}_base64"),
                    if text.is_some() { Value::Null } else { STANDARD.encode(bytes).into() },
                );
                continue;
            }
            Field::Str(text) if name == "object" => serde_json::from_str(text).unwrap(),
            Field::Str(text) => text.as_str().into(),
            Field::Null if name == "value" => {
                item.insert("value_base64".to_owned(), Value::Null);
                Value::Null
            }
            Field::Long(n) => (*n).into(),
            Field::Bool(b) => (*b).into(),
            Field::Null => Value::Null,
            other => panic!("{name} is {other:?}"),
        };
        item.insert(name.clone(), value);
    }
    Value::Object(item)
}

fn parquet(bytes: Vec<u8>) -> SerializedFileReader<bytes::Bytes> {
    SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap()
}

#[test]
fn parquet_has_the_rows_that_ndjson_has() {
    for version in VERSIONS {
        let input = Input::new(fixture(&format!("etcd-{version}/snapshot.db")));
        for flags in [
            &[][..],
            &["--all-revisions"],
            &["--no-values"],
            &["--all-revisions", "--no-values", "--prefix", "/registry/"],
            &["--prefix", "none"],
        ] {
            let args = [&["export", input.name()], flags].concat();
            let due: Vec<Value> =
                coldbolt(&args).text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let bytes = command([&args[..], &["-w", "parquet"]].concat()).output().unwrap().stdout;
            let again = command([&args[..], &["-w", "parquet"]].concat()).output().unwrap().stdout;
            assert_eq!(bytes, again, "the same twice");
            let reader = parquet(bytes);
            let rows: Vec<Value> = reader.get_row_iter(None).unwrap().map(|row| json(row.unwrap())).collect();
            assert_eq!(rows, due, "{version} {flags:?}");
            assert_eq!(rows.is_empty(), flags.contains(&"none"));
        }
        input.unchanged();
    }
}

#[test]
fn objects_are_columns_as_they_are_in_ndjson() {
    let dir = tempfile::tempdir().unwrap();
    for (cluster, code) in [("plain-1.37", 0), ("encrypted-1.37", 4)] {
        let input = snapshot(dir.path(), cluster);
        for flags in [
            &["--kube"][..],
            &["--kube", "--no-values", "--all-revisions"],
            &["--kube", "--object", "--plain-hashes"],
            &["--kube", "--object", "--no-values", "--show-secrets"],
            &["--kube", "--object", "--plain-hashes", "--all-revisions"],
        ] {
            let args = [&["export", input.name()], flags].concat();
            let (due, run) =
                (coldbolt(&args), command([&args[..], &["-w", "parquet"]].concat()).output().unwrap());
            assert_eq!((due.code, run.status.code()), (code, Some(code)), "{flags:?}");
            assert_eq!(due.err, String::from_utf8(run.stderr).unwrap());
            let due: Vec<Value> =
                due.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let reader = parquet(run.stdout);
            let rows: Vec<Value> = reader.get_row_iter(None).unwrap().map(|row| json(row.unwrap())).collect();
            assert_eq!(rows, due, "{cluster} {flags:?}");
            let secrets: Vec<&Value> =
                rows.iter().filter(|row| row["kind"] == "Secret" && row["uid"].is_string()).collect();
            let redacts = flags.contains(&"--plain-hashes");
            assert!(
                !secrets.is_empty() && (!redacts || secrets.iter().all(|row| row["value_base64"].is_null()))
            );
        }
        input.unchanged();
    }
    let input = snapshot(dir.path(), "plain-1.37");
    let bytes =
        command(["export", input.name(), "--kube", "--object", "-w", "parquet"]).output().unwrap().stdout;
    let reader = parquet(bytes);
    let columns = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    let told: Vec<_> = columns[7..].iter().map(|c| (c.name(), c.converted_type())).collect();
    let text = ConvertedType::UTF8;
    assert_eq!(
        told,
        [
            ("group", text),
            ("kind_version", text),
            ("kind", text),
            ("namespace", text),
            ("name", text),
            ("uid", text),
            ("created", text),
            ("manager", text),
            ("object", ConvertedType::JSON),
        ]
    );
    let group = reader.metadata().row_group(0);
    assert!(group.column(11).statistics().is_some() && group.column(15).statistics().is_none());
}

#[test]
fn the_columns_have_types_and_the_values_no_statistics() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("keys.parquet");
    let input = Input::new(fixture("etcd-3.7.1/snapshot.db"));
    let args = ["export", input.name(), "--all-revisions", "-w", "parquet", "-o", to.to_str().unwrap()];
    assert_eq!(coldbolt(args).good(), "");
    let bytes = fs::read(&to).unwrap();
    assert_eq!(
        bytes,
        command(&args[..args.len() - 2]).output().unwrap().stdout,
        "a file is what a pipe gets"
    );
    let reader = parquet(bytes);
    let columns: Vec<_> = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    let told: Vec<_> = columns
        .iter()
        .map(|c| (c.name(), c.physical_type(), c.converted_type() == ConvertedType::UTF8))
        .collect();
    let (binary, number) = (Type::BYTE_ARRAY, Type::INT64);
    assert_eq!(
        told,
        [
            ("type", binary, true),
            ("sub", number, false),
            ("compacted", Type::BOOLEAN, false),
            ("key", binary, false),
            ("create_revision", number, false),
            ("mod_revision", number, false),
            ("version", number, false),
            ("lease", binary, true),
            ("value_len", number, false),
            ("value", binary, false),
        ]
    );
    let group = reader.metadata().row_group(0);
    assert!(group.column(5).statistics().is_some() && group.column(9).statistics().is_none());
    // What is there is not written over.
    assert_eq!(command(args).output().unwrap().status.code(), Some(1));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    input.unchanged();
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("keys.parquet");
    let input = Input::new(fixture("etcd-3.7.1/snapshot.db"));
    // Refused after the file was begun.
    let run =
        coldbolt(["export", input.name(), "--rev", "99999", "-w", "parquet", "-o", to.to_str().unwrap()]);
    assert_eq!(run.code, 1, "{run}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    input.unchanged();
}
