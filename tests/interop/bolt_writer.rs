//! What the writer makes, before the real bbolt programs.
//!
//! Without the programs the test has nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use coldbolt::bolt::writer::{FreelistPage, Options, WriteError, Writer};

/// Buckets of every shape: empty, inline, just too big for that, deep trees, values of many pages, keys longer than a
/// page, nested ones.
fn every_shape(path: &Path, options: Options) -> Result<(), WriteError> {
    let mut file = File::create(path)?;
    let mut writer = Writer::new(&mut file, options)?;
    let page = usize::try_from(options.page_size).unwrap();
    let bytes: Vec<u8> = (0..1 << 20).map(|i: u32| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();

    writer.begin_bucket(b"a empty", 1)?;
    writer.end_bucket()?;
    for (name, value) in [(b"b inline", page / 4 - 33), (b"c a tree", page / 4 - 32)] {
        writer.begin_bucket(name, 2)?;
        writer.put(b"k", &bytes[..value])?;
        writer.end_bucket()?;
    }
    writer.begin_bucket(b"d deep", u64::MAX)?;
    for i in 0..20_000u32 {
        writer.put(&i.to_be_bytes(), &bytes[..usize::try_from(i % 23).unwrap()])?;
    }
    writer.end_bucket()?;
    writer.begin_bucket(b"e wide", 0)?;
    for i in 0..200usize {
        writer.put(format!("{i:05}").as_bytes(), &bytes[..page * (i % 7) * 3 / 5 + i])?;
    }
    writer.put(b"9", &bytes)?;
    writer.end_bucket()?;
    writer.begin_bucket(b"f long", 0)?;
    for i in 0..25 {
        writer.put(format!("{i:032768}").as_bytes(), b"v")?;
    }
    writer.end_bucket()?;
    writer.begin_bucket(b"g nested", 0)?;
    for i in 0..300usize {
        writer.begin_bucket(format!("{i:05}").as_bytes(), 0)?;
        for j in 0..i % 40 {
            writer.put(format!("{j:03}").as_bytes(), &bytes[..j])?;
        }
        writer.begin_bucket(b"in", 0)?;
        writer.put(b"k", b"v")?;
        writer.end_bucket()?;
        writer.end_bucket()?;
    }
    writer.end_bucket()?;
    for i in 0..300 {
        writer.begin_bucket(format!("top {i:05}").as_bytes(), 0)?;
        writer.put(b"k", &bytes[..i])?;
        writer.end_bucket()?;
    }
    writer.finish()?;
    Ok(())
}

#[test]
fn every_bbolt_finds_every_file_sound() {
    let bbolts = support::peers::bbolts();
    if bbolts.is_empty() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for page_size in [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] {
        for (freelist, fill_percent) in [(FreelistPage::Absent, 100), (FreelistPage::Stored, 50)] {
            let path = dir.path().join(format!("{page_size}-{fill_percent}.db"));
            every_shape(&path, Options { page_size, freelist, txid: 7, fill_percent }).unwrap();
            for bbolt in &bbolts {
                let out = Command::new(bbolt).arg("check").arg(&path).output().unwrap();
                let said = String::from_utf8_lossy(&out.stdout);
                assert!(
                    out.status.success() && said.trim_end() == "OK",
                    "{} {}: {out:?}",
                    bbolt.display(),
                    path.display()
                );
            }
        }
    }
    if let Some(keep) = std::env::var_os("COLDBOLT_KEEP") {
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), Path::new(&keep).join(entry.file_name())).unwrap();
        }
    }
}
