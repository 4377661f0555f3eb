//! Copies of a member that runs and is written to: each is whole, or is refused for what it is.
//!
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::{Client, Member, members};
use support::{coldbolt, peers};

const COPIES: usize = 5;

/// Who writes.
#[derive(Default)]
struct Writer {
    stop: AtomicBool,
    done: AtomicU64,
}

impl Writer {
    /// Puts, now and then a compaction, with this pause between them, until it is to stop.
    fn run(&self, mut client: Client, pause: Duration) {
        while !self.stop.load(Ordering::Relaxed) {
            let n = self.done.fetch_add(1, Ordering::Relaxed);
            let (path, body) = if n % 50 == 49 {
                ("kv/compaction", json!({"revision": n - n / 50 - 20}))
            } else {
                ("kv/put", json!({"key": format!("{:04}", n % 40), "value": "dmFs".repeat(50)}))
            };
            assert_eq!(client.post(path, &body).unwrap().0, 200, "{path} {body}");
            std::thread::sleep(pause);
        }
    }
}

#[test]
fn what_is_copied_from_a_member_that_is_written_to_is_whole_or_refused_and_never_a_fault_of_ours() {
    for (version, pause) in [("3.4.23", 100), ("3.6.14", 0), ("3.6.14", 100)] {
        if peers::find(&format!("etcd-{version}/etcd")).is_none() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = members(version, 1, home.path());
        let member = &mut all[0];
        // Snapshots come often, and the database is written all the time.
        let often = ["--snapshot-count", "30", "--backend-batch-interval", "10ms"];
        member.start(&[&["--initial-cluster", &cluster], &often[..]].concat());
        member.caught_up();
        let (writer, client) = (Writer::default(), member.client());
        let whole = std::thread::scope(|threads| {
            threads.spawn(|| writer.run(client, Duration::from_millis(pause)));
            let copied = std::panic::catch_unwind(|| copies(member, version, &writer));
            writer.stop.store(true, Ordering::Relaxed);
            copied.unwrap_or_else(|why| std::panic::resume_unwind(why))
        });
        eprintln!("{version}: {whole} of {COPIES} copies, {} requests meanwhile", writer.done.into_inner());
        assert!(whole > 0 || pause == 0, "none was whole");
    }
}

/// Copies it again and again while it is written to; gives how many copies there came to be.
fn copies(member: &Member, version: &str, writer: &Writer) -> usize {
    let home = member.home.join("copies");
    let (to, data) = (home.join("copy.db"), member.data());
    let args =
        ["copy", data.to_str().unwrap(), to.to_str().unwrap(), "--allow-live", "--etcd-version", version];
    let (mut whole, mut done) = (0, 0);
    for _ in 0..COPIES {
        let deadline = support::run::deadline();
        while writer.done.load(Ordering::Relaxed) < done + 2 {
            assert!(Instant::now() < deadline, "nothing is written");
            std::thread::sleep(Duration::from_millis(2));
        }
        done = writer.done.load(Ordering::Relaxed);
        fs::create_dir(&home).unwrap();
        let run = coldbolt(args);
        assert!([0, 3].contains(&run.code), "{run}");
        assert!(run.err.matches("holds the lock").count() <= 1, "once for all attempts: {run}");
        assert_eq!(fs::read_dir(&home).unwrap().count(), usize::from(run.code == 0), "{run}");
        if run.code == 0 {
            coldbolt(["verify", to.to_str().unwrap()]).says(0, &[]);
            whole += 1;
        }
        fs::remove_dir_all(&home).unwrap();
    }
    whole
}
