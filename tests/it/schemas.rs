//! Whatever is printed in JSON has its schema: every command on every kind of input. `support::schemas` looks at each answer.

use std::fs;
use std::path::Path;

use support::{Run, VERSIONS, coldbolt, fixture, unpack};

/// The commands that only read; FILE is the input, OTHER another.
const CALLS: &str = "\
status FILE --fold|hashkv FILE|inspect FILE|verify FILE|get FILE / --prefix|keys FILE|keys FILE --top 5|keys FILE --tree
history FILE --prefix /registry|history FILE /registry/namespaces/default|events FILE|carve FILE|timeline FILE|diff FILE OTHER
compare FILE OTHER|export FILE --kube|leases FILE|auth FILE|alarms FILE|members FILE|member list FILE|rank FILE OTHER|snap show FILE
kube kinds FILE|kube kinds FILE --by namespace|kube kinds FILE --by field|kube diff FILE OTHER|kube history FILE namespaces default
kube encryption FILE|kube encryption FILE --wrapped|kube secrets FILE|kube security FILE|kube diff --security FILE OTHER
kube bootstrap FILE|wal dump FILE|wal dump FILE --raw|bolt buckets FILE|bolt keys FILE key|bolt pages FILE|bolt page FILE --all
bolt surgery freelist-rebuild FILE --dry-run|kube delete FILE namespaces default --dry-run";

fn inputs(dir: &Path) -> Vec<String> {
    let mut all = vec![
        "small-3.5.1/snapshot.db",
        "pages-64k/snapshot.db.gz",
        "kube/plain-1.37/snapshot.db.gz",
        "kube/encrypted-1.37/deleted.db.gz",
        "etcd-3.3.27/snapshot.db",
        "etcd-3.7.1/snapshot.db",
        "etcdbr",
        "bolt/nested-1024.db",
    ]
    .into_iter()
    .map(|name| fixture(name).to_str().unwrap().to_owned())
    .collect::<Vec<_>>();
    let whole = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    for (name, bytes) in [("cut.db", &whole[..20_000]), ("tiny.db", &whole[..100]), ("empty.db", &[][..])] {
        fs::write(dir.join(name), bytes).unwrap();
        all.push(dir.join(name).to_str().unwrap().to_owned());
    }
    let mut damaged = whole;
    damaged[40_980] = 255;
    fs::write(dir.join("damaged.db"), damaged).unwrap();
    all.push(dir.join("damaged.db").to_str().unwrap().to_owned());
    for version in VERSIONS {
        let home = dir.join(version);
        fs::create_dir(&home).unwrap();
        all.push(unpack(version, "cold", &home).to_str().unwrap().to_owned());
    }
    // A log that is empty, and a raft snapshot that is cut.
    let home = dir.join("emptied");
    fs::create_dir(&home).unwrap();
    let emptied = unpack("3.6.14", "cold", &home);
    for file in fs::read_dir(emptied.join("member/wal")).unwrap() {
        fs::write(file.unwrap().path(), b"").unwrap();
    }
    let cut = emptied.join("member/snap/0000000000000002-000000000000007a.snap");
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..40]).unwrap();
    all.extend([&emptied, &cut].map(|path| path.to_str().unwrap().to_owned()));
    all
}

#[test]
fn every_answer_of_every_command_has_the_schema_that_is_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = inputs(dir.path());
    let mut answered = 0;
    for file in &inputs {
        for call in CALLS.lines().flat_map(|line| line.split('|')) {
            for form in ["json", "ndjson"] {
                let word = |word| match word {
                    "FILE" => file.as_str(),
                    "OTHER" => inputs[0].as_str(),
                    word => word,
                };
                let run: Run = coldbolt(call.split(' ').map(word).chain(["-w", form]));
                answered += usize::from(
                    run.out.starts_with(b"{") && run.out.windows(9).any(|nine| nine == b"coldbolt."),
                );
            }
        }
    }
    // Half of the calls find nothing that they are for, or have no lines.
    assert!(answered > inputs.len() * 20, "{answered} answers of {} inputs", inputs.len());
}
