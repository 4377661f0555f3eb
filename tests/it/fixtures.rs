//! The fixtures are the files that `fixtures/README.md` says they are: a changed one would quietly change what the
//! other tests prove.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coldbolt::codec::checksum::{hex, sha256};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Adds the rows of a README in the directory `home`: the first column is a file, the last its SHA-256, and a heading
/// `## dir` says in which directory of `home` the rows after it are.
fn add_rows(rows: &mut BTreeMap<PathBuf, String>, home: &Path, readme: &str) {
    let mut dir = home.to_path_buf();
    for line in readme.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            dir = home.join(heading.trim_matches('`'));
        }
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, file, .., sum, _] = cells[..] else { continue };
        if sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let file = dir.join(file);
            assert!(rows.insert(file.clone(), sum.to_owned()).is_none(), "{} has two rows", file.display());
        }
    }
}

/// What is under `fixtures`: the rows of all its READMEs, and the SHA-256 of every other file, both by path.
fn fixtures() -> (BTreeMap<PathBuf, String>, BTreeMap<PathBuf, String>) {
    let (mut dirs, mut listed, mut present) = (vec![root()], BTreeMap::new(), BTreeMap::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_path_buf();
            if path.is_dir() {
                dirs.push(path);
            } else if path.file_name().is_some_and(|name| name == "README.md") {
                add_rows(&mut listed, name.parent().unwrap(), &std::fs::read_to_string(path).unwrap());
            } else {
                present.insert(name, hex(&sha256(&std::fs::read(path).unwrap())));
            }
        }
    }
    (listed, present)
}

#[test]
fn every_fixture_has_a_row_and_every_row_its_file() {
    let (listed, present) = fixtures();
    let mut wrong = Vec::new();
    for (file, sum) in &present {
        match listed.get(file) {
            None => wrong.push(format!("{} has no row; its SHA-256 is {sum}", file.display())),
            Some(row) if row != sum => {
                wrong.push(format!("{} has the SHA-256 {sum}, its row says {row}", file.display()))
            }
            Some(_) => {}
        }
    }
    wrong.extend(
        listed
            .keys()
            .filter(|file| !present.contains_key(*file))
            .map(|file| format!("{} is not there", file.display())),
    );
    assert!(wrong.is_empty(), "fixtures/README.md:\n{}", wrong.join("\n"));
    assert!(present.len() > 40, "only {} fixtures", present.len());
}

#[test]
fn rows_are_read_under_their_directory() {
    let sum = "ac7632206ade433d197632d239ab08512c81a85ccbefa33da728d4e7a1bdfb1b";
    let readme = format!(
        "| own.db | an `x` | `{sum}` |\n| a.db | no sum |\n## `one`\n| File | SHA-256 |\n|---|---|\n| `a.db` | `{sum}` |\n## two\n| b | {sum} |"
    );
    let mut rows = BTreeMap::new();
    add_rows(&mut rows, Path::new("home"), &readme);
    assert_eq!(
        rows.keys().map(|file| file.to_str().unwrap()).collect::<Vec<_>>(),
        ["home/one/a.db", "home/own.db", "home/two/b"]
    );
    assert!(rows.values().all(|row| row == sum));
}
