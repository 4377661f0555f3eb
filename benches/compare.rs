//! coldbolt beside etcdutl and bbolt on one big snapshot file, and beside what the machine can do: reading it once,
//! hashing it once.
//!
//! ```text
//! cargo bench --bench compare -- --size 500MB            # makes the file, warm
//! cargo bench --bench compare -- --file big.db --cold    # each run after the file was dropped from the page cache
//! ```
//!
//! All commands run in turn, round after round, so that a slow minute of the machine is everybody's. What writes to
//! its input gets a copy. What writes a new file or directory finds its place empty: that of the round before was
//! removed just before, for each of them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::Advice;
use sha2::{Digest, Sha256};
use support::peers;

#[path = "compare/server.rs"]
mod server;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "cargo bench --bench compare -- [options]
  --size N     bytes of the file that is made, as for the bench `generate`     [200MB]
  --shape NAME what is in it, as for `generate`                                [kubernetes]
  --file PATH  use this file instead
  --server     the same answers from a restored server, and the log of a killed one applied by copy; needs etcd 3.6
  --rounds N   how often each command runs                                     [5]
  --cold       drop the file from the page cache before each run
  --dir PATH   where the file and the copies are put                           [target/compare]
  --only TEXT  only the rows whose name contains it
  --before EXE another coldbolt: each of our rows is measured beside that one's, which is then its peer";

fn main() -> ExitCode {
    // cargo bench passes --bench; without a word of ours there is nothing to do.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.is_empty() {
        return ExitCode::SUCCESS;
    }
    match Plan::from_args(args).and_then(|plan| compare(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

struct Plan {
    size: String,
    shape: String,
    server: bool,
    file: Option<PathBuf>,
    rounds: usize,
    cold: bool,
    dir: PathBuf,
    only: String,
    before: Option<PathBuf>,
}

impl Plan {
    fn from_args(args: Vec<String>) -> Result<Plan, Failure> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/compare");
        let mut plan = Plan {
            size: "200MB".into(),
            shape: "kubernetes".into(),
            server: false,
            file: None,
            rounds: 5,
            cold: false,
            dir,
            only: String::new(),
            before: None,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--size" => plan.size = value()?,
                "--shape" => plan.shape = value()?,
                "--server" => plan.server = true,
                "--file" => plan.file = Some(value()?.into()),
                "--rounds" => plan.rounds = value()?.parse()?,
                "--dir" => plan.dir = value()?.into(),
                "--only" => plan.only = value()?,
                "--before" => plan.before = Some(value()?.into()),
                "--cold" => plan.cold = true,
                _ => return Err(format!("unexpected {arg}").into()),
            }
        }
        Ok(plan)
    }
}

/// What is measured.
enum Work {
    /// A program; it gets the file as it is, or a copy of its own, where `{in}` stands, and writes where `{out}`
    /// stands.
    Program {
        command: PathBuf,
        args: &'static [&'static str],
        copy: bool,
    },
    /// What the machine can do.
    Read,
    Sha256,
    Copy,
}

struct Row {
    name: String,
    work: Work,
    /// The row that is beaten or not.
    peer: Option<String>,
    limit: &'static str,
    times: Vec<Duration>,
    /// The most anonymous memory, in KiB.
    anonymous: u64,
    code: Option<i32>,
}

const READ: &str = "limit: read once";
const SHA: &str = "limit: SHA-256 once";
const COPY: &str = "limit: copy and fsync";
const RECIPIENT: &str = support::age::PAIR.0;

fn compare(plan: &Plan) -> Result<(), Failure> {
    fs::create_dir_all(&plan.dir)?;
    let file = match &plan.file {
        Some(file) => file.canonicalize()?,
        None => made(plan)?,
    };
    let mut rows = rows(plan);
    let copy = plan.dir.join("copy.db");
    if rows.iter().any(|row| matches!(row.work, Work::Program { copy: true, .. })) {
        fs::copy(&file, &copy)?;
        File::open(&copy)?.sync_all()?;
    }
    for round in 0..plan.rounds {
        for row in &mut rows {
            let own = matches!(row.work, Work::Program { copy: true, .. });
            let input = if own { &copy } else { &file };
            remove(&plan.dir.join("out"))?;
            if plan.cold {
                drop_from_cache(input)?;
            } else if round == 0 {
                read(input)?;
            }
            measure(row, input, &plan.dir)?;
        }
        eprintln!("round {} of {} done", round + 1, plan.rounds);
    }
    let _ = fs::remove_file(&copy);
    remove(&plan.dir.join("out"))?;
    print(plan, &file, &rows)?;
    if plan.server { server::compare(&file, &plan.dir) } else { Ok(()) }
}

/// The file of that size, made if it is not there.
fn made(plan: &Plan) -> Result<PathBuf, Failure> {
    let file = plan.dir.join(format!("made-{}-{}.db", plan.size, plan.shape));
    if !file.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["bench", "--bench", "generate", "--"]);
        let status = command.arg(&file).args(["--shape", &plan.shape, "--size", &plan.size]).status()?;
        if !status.success() {
            return Err(format!("the bench `generate` ended with {status}").into());
        }
    }
    Ok(file)
}

fn rows(plan: &Plan) -> Vec<Row> {
    let coldbolt = || PathBuf::from(env!("CARGO_BIN_EXE_coldbolt"));
    let mut rows = Vec::new();
    let mut row = |name: &str, work: Work, peer: Option<&str>, limit: &'static str| {
        let (name, mut peer) = (name.to_owned(), peer.map(str::to_owned));
        if let (Some(before), Work::Program { command, args, copy }) = (&plan.before, &work)
            && *command == coldbolt()
        {
            let work = Work::Program { command: before.clone(), args, copy: *copy };
            let twin = format!("{name}, before");
            peer = Some(twin.clone());
            rows.push(Row {
                name: twin,
                work,
                peer: None,
                limit,
                times: Vec::new(),
                anonymous: 0,
                code: None,
            });
        }
        rows.push(Row { name, work, peer, limit, times: Vec::new(), anonymous: 0, code: None });
    };
    let ours = |args| Work::Program { command: coldbolt(), args, copy: false };
    let (status, hashkv) = ("etcdutl 3.6 snapshot status", "etcdutl 3.6 hashkv");
    row(READ, Work::Read, None, READ);
    row(SHA, Work::Sha256, None, SHA);
    row(COPY, Work::Copy, None, COPY);
    row("coldbolt verify", ours(&["verify", "{in}"]), Some(status), SHA);
    row("coldbolt verify --jobs 1", ours(&["verify", "--jobs", "1", "{in}"]), Some("coldbolt verify"), SHA);
    row("coldbolt status", ours(&["status", "{in}"]), Some(status), READ);
    row("coldbolt status --jobs 1", ours(&["status", "--jobs", "1", "{in}"]), Some("coldbolt status"), READ);
    row("coldbolt hashkv", ours(&["hashkv", "{in}"]), Some(hashkv), READ);
    row("coldbolt hashkv --jobs 1", ours(&["hashkv", "--jobs", "1", "{in}"]), Some("coldbolt hashkv"), READ);
    // Of a key that is not there every page is read.
    row("coldbolt get, no such key", ours(&["get", "{in}", "no such key"]), None, READ);
    row("coldbolt keys --top", ours(&["keys", "--top", "20", "{in}"]), None, READ);
    row("coldbolt export", ours(&["export", "{in}"]), None, READ);
    row("coldbolt export --all-revisions", ours(&["export", "--all-revisions", "{in}"]), None, READ);
    // On a file of the shape `cluster`.
    row("coldbolt kube kinds", ours(&["kube", "kinds", "{in}"]), Some("coldbolt status"), READ);
    let names = &["kube", "get", "{in}", "pods", "-A", "-o", "name"];
    row("coldbolt kube get pods -o name", ours(names), Some("coldbolt status"), READ);
    let all = &["kube", "get", "{in}", "all-kinds", "-o", "ndjson"];
    row("coldbolt kube get all-kinds -o ndjson", ours(all), Some("coldbolt status"), READ);
    let all = &["kube", "extract", "{in}", "-o", "-"];
    row("coldbolt kube extract -o -", ours(all), Some("coldbolt status"), READ);
    row(
        "coldbolt kube diff, of itself",
        ours(&["kube", "diff", "{in}", "{in}"]),
        Some("coldbolt status"),
        READ,
    );
    row("coldbolt copy", ours(&["copy", "{in}", "{out}"]), None, COPY);
    let closed = &["copy", "{in}", "{out}", "--encrypt-to", RECIPIENT];
    row("coldbolt copy --encrypt-to", ours(closed), Some("coldbolt copy"), COPY);
    let encrypt = &["encrypt", "{in}", "-o", "{out}", "--to", RECIPIENT];
    row("coldbolt encrypt", ours(encrypt), Some("age 1.3 -r"), COPY);
    row(
        "coldbolt restore",
        ours(&["restore", "{in}", "--data-dir", "{out}"]),
        Some("etcdutl 3.6 snapshot restore"),
        COPY,
    );
    row("coldbolt defrag", ours(&["defrag", "{in}", "-o", "{out}"]), Some("bbolt 1.4 compact"), COPY);
    for (name, program, args, copy, limit) in [
        (
            "etcdutl 3.5 snapshot status",
            "etcd-3.5.1/etcdutl",
            &["snapshot", "status", "{in}"][..],
            false,
            READ,
        ),
        (status, "etcd-3.6.14/etcdutl", &["snapshot", "status", "{in}"], false, READ),
        // It finishes compactions and writes.
        (hashkv, "etcd-3.6.14/etcdutl", &["hashkv", "{in}"], true, READ),
        ("bbolt 1.4 check", "bbolt-1.4.3/bbolt", &["check", "{in}"], false, READ),
        (
            "etcdutl 3.6 snapshot restore",
            "etcd-3.6.14/etcdutl",
            &["snapshot", "restore", "{in}", "--data-dir", "{out}"],
            false,
            COPY,
        ),
        ("age 1.3 -r", "age-1.3.2/age", &["-r", RECIPIENT, "-o", "{out}", "{in}"], false, COPY),
        ("bbolt 1.4 compact", "bbolt-1.4.3/bbolt", &["compact", "-o", "{out}", "{in}"], false, COPY),
    ] {
        if let Some(command) = peers::find(program) {
            row(name, Work::Program { command, args, copy }, None, limit);
        }
    }
    rows.retain(|row| row.name.contains(&plan.only) || row.name.starts_with("limit"));
    rows
}

fn drop_from_cache(file: &Path) -> Result<(), Failure> {
    let file = File::open(file)?;
    // Only what is on the disk can be dropped.
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}

fn remove(out: &Path) -> std::io::Result<()> {
    let removed = if out.is_dir() { fs::remove_dir_all(out) } else { fs::remove_file(out) };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn read(file: &Path) -> Result<(), Failure> {
    pieces(file, |_| Ok(()))
}

fn pieces(file: &Path, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut file = File::open(file)?;
    rustix::fs::fadvise(&file, 0, None, Advice::Sequential)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => take(&buffer[..n])?,
        }
    }
}

fn measure(row: &mut Row, input: &Path, home: &Path) -> Result<(), Failure> {
    let out = home.join("out");
    let start = Instant::now();
    match &row.work {
        Work::Read => read(input)?,
        Work::Sha256 => {
            let mut sha = Sha256::new();
            pieces(input, |bytes| {
                sha.update(bytes);
                Ok(())
            })?;
            std::hint::black_box(sha.finalize());
        }
        Work::Copy => {
            let mut copy = File::create_new(&out)?;
            pieces(input, |bytes| copy.write_all(bytes))?;
            copy.sync_all()?;
        }
        Work::Program { command, args, .. } => {
            let mut program = peers::command(command, home);
            program.args(args.iter().map(|arg| match *arg {
                "{in}" => input.as_os_str(),
                "{out}" => out.as_os_str(),
                arg => OsStr::new(arg),
            }));
            program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // A signal to us is not theirs to handle.
            let mut child = program.process_group(0).spawn()?;
            let status = format!("/proc/{}/status", child.id());
            row.code = loop {
                if let Some(ended) = child.try_wait()? {
                    break ended.code();
                }
                let anonymous =
                    fs::read_to_string(&status).ok().and_then(|text| rss_anon(&text)).unwrap_or(0);
                row.anonymous = row.anonymous.max(anonymous);
                std::thread::sleep(Duration::from_millis(2));
            };
        }
    }
    row.times.push(start.elapsed());
    Ok(())
}

fn rss_anon(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

fn median(times: &[Duration]) -> f64 {
    let mut times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2.0 }
}

fn print(plan: &Plan, file: &Path, rows: &[Row]) -> Result<(), Failure> {
    let bytes = fs::metadata(file)?.len();
    let cache = if plan.cold { "dropped from the page cache before each run" } else { "in the page cache" };
    println!("{}, {bytes} bytes, {cache}; {} rounds, interleaved\n", file.display(), plan.rounds);
    println!("| command | median s | min s | MB/s | of its peer | of its limit | peak anonymous MB | exit |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let of = |name: &str| rows.iter().find(|row| row.name == name).map(|row| median(&row.times));
    // What reads and hashes is bound by the slower of the two.
    let slower = of(READ).into_iter().chain(of(SHA)).fold(0.0, f64::max);
    for row in rows {
        let (middle, least) = (median(&row.times), row.times.iter().min().map_or(0.0, Duration::as_secs_f64));
        let ratio = |to: Option<f64>| to.map_or_else(|| "-".to_owned(), |to| format!("{:.2}", middle / to));
        let limit = if row.limit == SHA { Some(slower) } else { of(row.limit) };
        let (anonymous, code) = match row.work {
            Work::Program { .. } => (
                format!("{:.0}", row.anonymous as f64 / 1024.0),
                row.code.map_or_else(|| "signal".to_owned(), |code| code.to_string()),
            ),
            _ => ("-".to_owned(), "-".to_owned()),
        };
        let (rate, peer, limit) =
            (bytes as f64 / middle / 1e6, ratio(row.peer.as_deref().and_then(of)), ratio(limit));
        println!(
            "| {} | {middle:.3} | {least:.3} | {rate:.0} | {peer} | {limit} | {anonymous} | {code} |",
            row.name
        );
    }
    println!(
        "\nlimit: for verify the slower of reading and hashing, for what writes copying, for the others reading once"
    );
    Ok(())
}
