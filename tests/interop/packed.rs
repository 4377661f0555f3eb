//! What the real packers and mke2fs make is read as the files themselves.

use std::fs;
use std::path::Path;
use std::process::Command;

use coldbolt::io::tree;
use support::history::Rng;
use support::peers::system;
use support::{coldbolt_in, fixture};

fn run(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_the_real_packers_make_is_read_as_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fixture("etcd-3.7.1/snapshot.db"), dir.path().join("a.db")).unwrap();
    let due = coldbolt_in(dir.path(), ["status", "a.db"]).good().to_owned();
    let hashes = coldbolt_in(dir.path(), ["hashkv", "a.db"]).good().to_owned();
    for (name, program, args) in [
        ("a.gz", "gzip", &["-kc9", "a.db"][..]),
        ("fast.gz", "gzip", &["-kc1", "a.db"]),
        ("a.xz", "xz", &["-kc", "a.db"]),
        ("9.xz", "xz", &["-kc9e", "a.db"]),
        ("sha.xz", "xz", &["-kc", "--check=sha256", "--block-size=20000", "a.db"]),
        ("a.bz2", "bzip2", &["-kc", "a.db"]),
        ("a.zst", "zstd", &["-qc", "a.db"]),
        ("long.zst", "zstd", &["-qc", "--ultra", "-22", "--long=27", "--check", "a.db"]),
        ("threads.zst", "zstd", &["-qc", "-T2", "-B100000", "a.db"]),
        ("a.lz4", "lz4", &["-qc", "a.db"]),
        ("linked.lz4", "lz4", &["-qc", "-B4", "-BD", "--content-size", "a.db"]),
        ("legacy.tar", "tar", &["-cf", "-", "--format=v7", "a.db"]),
        ("gnu.tar", "tar", &["-cf", "-", "--format=gnu", "a.db"]),
        ("posix.tar", "tar", &["-cf", "-", "--format=posix", "./a.db"]),
        ("sparse.tar", "tar", &["-cSf", "-", "--format=gnu", "a.db"]),
        ("a.tgz", "tar", &["-czf", "-", "a.db"]),
        ("a.txz", "tar", &["-cJf", "-", "a.db"]),
        ("a.zip", "zip", &["-q", "-", "a.db"]),
        ("stored.zip", "zip", &["-q0", "-", "a.db"]),
    ] {
        let Some(mut command) = system(program) else { continue };
        command.args(args).current_dir(dir.path()).stdout(fs::File::create(dir.path().join(name)).unwrap());
        run(command);
        if name == "legacy.tar" {
            // It has no magic, and nothing tells it from other bytes.
            continue;
        }
        assert_eq!(coldbolt_in(dir.path(), ["status", name]).good(), due, "{name}");
        assert_eq!(coldbolt_in(dir.path(), ["hashkv", name]).good(), hashes, "{name}");
        coldbolt_in(dir.path(), ["verify", name]).says(0, &[]);
    }
}

/// Compares each file of a directory with what is in an image by its name.
fn same(dir: &Path, image: &Path) -> usize {
    let (mut ahead, mut count) = (vec![dir.to_path_buf()], 0);
    while let Some(at) = ahead.pop() {
        let inside = |path: &Path| {
            let below = path.strip_prefix(dir).unwrap();
            Path::new(&format!("{}:/{}", image.display(), below.display())).to_path_buf()
        };
        let there = tree::read_dir(&inside(&at)).unwrap();
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            assert!(there.iter().any(|listed| Some(listed.name.as_os_str()) == path.file_name()), "{path:?}");
            if path.is_dir() {
                assert!(tree::is_dir(&inside(&path)));
                ahead.push(path);
            } else {
                let (is, due) = (tree::open(&inside(&path)).unwrap(), fs::read(&path).unwrap());
                assert!(is.len() == due.len() as u64 && is.read_all(1 << 30).unwrap() == due, "{path:?}");
                count += 1;
            }
        }
    }
    count
}

#[test]
fn every_file_of_a_volume_that_mke2fs_fills_is_the_one_that_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    let mut rng = Rng::of(7);
    for number in 0..300 {
        let at = files.join(format!("d{}", number % 3)).join("n".repeat(number % 60));
        fs::create_dir_all(&at).unwrap();
        let file = fs::File::create(at.join(format!("f{number}"))).unwrap();
        for _ in 0..rng.between(0, 4) {
            use std::os::unix::fs::FileExt;
            let bytes: Vec<u8> = (0..rng.between(1, 9000)).map(|byte| byte as u8).collect();
            file.write_all_at(&bytes, rng.between(0, 1 << 21) as u64).unwrap();
        }
    }
    let image = dir.path().join("vol.img");
    for kind in ["ext2", "ext3", "ext4"] {
        for block in ["1024", "2048", "4096"] {
            let Some(mut command) = system("mke2fs") else { return };
            let _ = fs::remove_file(&image);
            command.args(["-q", "-t", kind, "-b", block, "-d"]).arg(&files).arg(&image).arg("256M");
            run(command);
            assert!(same(&files, &image) == 300, "{kind} {block}");
        }
    }
    // Reserved and not written: zeros, whatever was there before.
    let Some(mut command) = system("debugfs") else { return };
    command.args(["-w", "-R", "fallocate /d0/f0 600 700"]).arg(&image);
    run(command);
    let source = tree::open(Path::new(&format!("{}:/d0/f0", image.display()))).unwrap();
    let due = fs::read(files.join("d0/f0")).unwrap();
    assert_eq!(source.read_all(1 << 30).unwrap()[..due.len()], due);
}
