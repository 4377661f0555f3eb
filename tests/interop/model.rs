//! Random buckets and random histories, as coldbolt writes them, before the real bbolt programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use support::model::{left, made, steps};
use support::nested::{items, options, written};
use support::peers;

#[test]
fn every_bbolt_finds_the_models_files_sound() {
    let bbolts = peers::bbolts();
    if bbolts.is_empty() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let (buckets, histories) = ((items(), options()), (steps(), left()));
    let sound = |path: &Path| {
        for bbolt in &bbolts {
            let out = Command::new(bbolt).arg("check").arg(path).output().unwrap();
            let said = String::from_utf8_lossy(&out.stdout);
            assert!(
                out.status.success() && said.trim_end() == "OK",
                "{} {}: {out:?}",
                bbolt.display(),
                path.display()
            );
        }
    };
    for case in 0..40 {
        let (items, options) = buckets.new_tree(&mut runner).unwrap().current();
        let path = dir.path().join(format!("buckets-{case}.db"));
        fs::write(&path, written(&items, options)).unwrap();
        sound(&path);
        let (steps, left) = histories.new_tree(&mut runner).unwrap().current();
        let path = dir.path().join(format!("history-{case}.db"));
        fs::write(&path, made(&steps, left).file(1024).head(usize::MAX).unwrap()).unwrap();
        sound(&path);
    }
}
