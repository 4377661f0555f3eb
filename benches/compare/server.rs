//! What a restored server takes for the same answers, and a copy of a member that was killed.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Failure, peers, pieces, read, remove};

/// Transactions that are written before the server is killed, and puts in each of them.
const TRANSACTIONS: usize = 200;
const PUTS: usize = 128;

/// Between what writes much and what comes next. A virtual machine gives free memory back to its host after some
/// seconds, and to get it again can take longer than to fill it: all start from the same.
const REST: Duration = Duration::from_secs(6);

/// Restores `file` below `home`, asks the server, kills it while it is written to, and copies the member.
pub fn compare(file: &Path, home: &Path) -> Result<(), Failure> {
    let find = |program: &str| {
        peers::find(&format!("etcd-3.6.14/{program}")).ok_or_else(|| format!("no {program} of etcd 3.6.14"))
    };
    let (etcd, etcdctl, etcdutl) = (find("etcd")?, find("etcdctl")?, find("etcdutl")?);
    let (dir, out) = (home.join("served"), home.join("out"));
    remove(&dir)?;
    remove(&out)?;
    read(file)?;
    let coldbolt = |args: &[&str], path: &Path, out: Option<&Path>| -> Result<f64, Failure> {
        let mut command = peers::command(Path::new(env!("CARGO_BIN_EXE_coldbolt")), home);
        timed(command.args(args).arg(path).args(out).stdout(Stdio::null()).stderr(Stdio::null()))
    };
    let ours = [coldbolt(&["keys", "--top", "20"], file, None)?, coldbolt(&["export"], file, None)?];

    let restore = timed(
        peers::command(&etcdutl, home)
            .args(["snapshot", "restore"])
            .arg(file)
            .arg("--data-dir")
            .arg(&dir)
            .stderr(Stdio::null()),
    )?;
    // As it was when the server had not yet written to it: all that the log will hold is missing in it.
    let before = home.join("before.db");
    fs::copy(dir.join("member/snap/db"), &before)?;
    let [client, peer] = free_ports()?.map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = peers::command(&etcd, home);
    command.arg("--data-dir").arg(&dir).args([
        "--quota-backend-bytes",
        "17179869184",
        "--max-txn-ops",
        "1024",
    ]);
    for (flag, url) in [
        ("listen-client", &client),
        ("advertise-client", &client),
        ("listen-peer", &peer),
        ("initial-advertise-peer", &peer),
    ] {
        command.arg(format!("--{flag}-urls")).arg(url);
    }
    command.args(["--initial-cluster", &format!("default={peer}")]);
    let start = Instant::now();
    let server = Server(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(home.join("served.log"))?)
            .spawn()?,
    );
    let ctl = || {
        let mut command = peers::command(&etcdctl, home);
        command
            .args(["--endpoints", &client, "--command-timeout", "600s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    while !ctl().args(["get", "no such key"]).status()?.success() {
        if start.elapsed() > Duration::from_secs(600) {
            return Err("etcd does not answer".into());
        }
        sleep(Duration::from_millis(50));
    }
    let start = start.elapsed().as_secs_f64();
    let names = timed(ctl().args(["get", "", "--prefix", "--keys-only"]))?;
    let all = timed(ctl().args(["get", "", "--prefix", "-w", "json"]))?;
    for round in 0..TRANSACTIONS {
        let mut child = ctl().args(["txn", "--interactive"]).stdin(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or("no standard input")?;
        let puts: String =
            (0..PUTS).map(|n| format!("put written-{:05} {round}\n", round * PUTS + n)).collect();
        input.write_all(format!("\n{puts}\n\n").as_bytes())?;
        drop(input);
        if !child.wait()?.success() {
            return Err("a transaction failed".into());
        }
    }
    saves(&coldbolt, &ctl, &client, &out)?;
    drop(server);

    println!("\nThe same answers from a server of etcd 3.6, restored from that file, each once:\n");
    println!("| answer | coldbolt s | restore, start and ask s | times faster |\n|---|---:|---:|---:|");
    // What is largest can be told only from everything.
    for (name, ours) in ["keys --top", "export"].into_iter().zip(ours) {
        let theirs = restore + start + all;
        println!("| {name} | {ours:.2} | {theirs:.1} | {:.0} |", theirs / ours);
    }
    println!(
        "\nrestore {restore:.1} s, start {start:.1} s, every key name {names:.1} s, every key and value {all:.1} s"
    );

    fs::rename(&before, dir.join("member/snap/db"))?;
    let db = dir.join("member/snap/db");
    File::open(&db)?.sync_all()?;
    let mut rows = [const { Vec::new() }; 3];
    for _ in 0..3 {
        read(&db)?;
        sleep(REST);
        rows[1].push(Duration::from_secs_f64(coldbolt(&["member", "list", "--data-dir"], &dir, None)?));
        remove(&out)?;
        sleep(REST);
        let began = Instant::now();
        let mut copy = File::create_new(&out)?;
        pieces(&db, |bytes| copy.write_all(bytes))?;
        copy.sync_all()?;
        rows[0].push(began.elapsed());
        remove(&out)?;
        sleep(REST);
        rows[2].push(Duration::from_secs_f64(coldbolt(&["copy"], &dir, Some(&out))?));
    }
    remove(&out)?;
    let [copied, folded, ours] = rows.map(|times| super::median(&times));
    println!(
        "\nA copy of the member that was killed, its log {} puts ahead of its db, medians of 3, each after a rest:\n",
        TRANSACTIONS * PUTS
    );
    println!(
        "| copy and fsync of the db s | the log applied, nothing written s | coldbolt copy s | of 1.5 copies and the log |\n|---:|---:|---:|---:|"
    );
    println!("| {copied:.2} | {folded:.2} | {ours:.2} | {:.2} |", ours / (1.5 * copied + folded));
    remove(&dir)?;
    Ok(())
}

/// Runs ours with these arguments, and those files behind them; gives the seconds.
type Ours<'o> = &'o dyn Fn(&[&str], &Path, Option<&Path>) -> Result<f64, Failure>;

/// Snapshots of the server that runs, ours verified at every level, in turn.
fn saves(coldbolt: Ours<'_>, ctl: &dyn Fn() -> Command, client: &str, out: &Path) -> Result<(), Failure> {
    let mut rows = [const { Vec::new() }; 2];
    for _ in 0..3 {
        remove(out)?;
        sleep(REST);
        rows[0].push(Duration::from_secs_f64(timed(ctl().args(["snapshot", "save"]).arg(out))?));
        remove(out)?;
        sleep(REST);
        let args = ["save", "--endpoints", client, "-o"];
        rows[1].push(Duration::from_secs_f64(coldbolt(&args, out, None)?));
    }
    remove(out)?;
    let [theirs, ours] = rows.map(|times| super::median(&times));
    println!("\nA snapshot of the server while it runs, medians of 3, each after a rest:\n");
    println!("| etcdctl snapshot save s | coldbolt save, verified s | times faster |\n|---:|---:|---:|");
    println!("| {theirs:.2} | {ours:.2} | {:.2} |", theirs / ours);
    Ok(())
}

/// Ends with the one that started it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn timed(command: &mut Command) -> Result<f64, Failure> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() {
        Ok(start.elapsed().as_secs_f64())
    } else {
        Err(format!("{command:?} ended with {status}").into())
    }
}

fn free_ports() -> Result<[u16; 2], Failure> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}
