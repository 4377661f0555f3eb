//! `bench`: how fast a database is written and read here. It is a bulk load by our own writer into a file of its own,
//! which is no measure of bbolt's transactions, and says so.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use coldbolt::bolt::writer::{Options, WriteError, Writer};
use coldbolt::bolt::{Bucket, Db};
use coldbolt::io::Source;
use coldbolt::io::dest::{Dest, Existing};
use coldbolt::words::error::{Corrupt, Error};

use super::file::refused;
use crate::cli::context::{Context, Fail};
use crate::cli::programs::go;

#[derive(Debug, Args)]
pub struct BenchArgs {
    #[arg(long, value_name = "string", default_value = "rw", help = "")]
    profile_mode: String,
    #[arg(long, value_name = "string", default_value = "seq", help = "")]
    write_mode: String,
    #[arg(long, value_name = "string", default_value = "seq", help = "")]
    read_mode: String,
    #[arg(long, value_name = "int", value_parser = go::int, default_value = "1000", help = "")]
    count: i64,
    #[arg(long, value_name = "int", value_parser = go::int, default_value = "0", help = "")]
    batch_size: i64,
    #[arg(long, value_name = "int", value_parser = go::int, default_value = "8", help = "")]
    key_size: i64,
    #[arg(long, value_name = "int", value_parser = go::int, default_value = "32", help = "")]
    value_size: i64,
    #[arg(long, value_name = "string", help = "")]
    cpuprofile: Option<String>,
    #[arg(long, value_name = "string", help = "")]
    memprofile: Option<String>,
    #[arg(long, value_name = "string", help = "")]
    blockprofile: Option<String>,
    #[arg(long, value_name = "float", default_value = "0.5", help = "")]
    fill_percent: f64,
    #[arg(long, help = "")]
    no_sync: bool,
    #[arg(long, help = "")]
    work: bool,
    #[arg(long, value_name = "string", help = "")]
    path: Option<std::path::PathBuf>,
    #[arg(long, help = "")]
    gobench_output: bool,
    #[arg(long, value_name = "int", value_parser = go::int, default_value = "4096")]
    #[arg(help = "Set page size in bytes.")]
    page_size: i64,
    #[arg(long, value_name = "int", value_parser = go::int, default_value = "0")]
    #[arg(help = "Set initial mmap size in bytes for database file.")]
    initial_mmap_size: i64,
}

const BUCKET: &[u8] = b"bench";

/// How many operations took how long.
struct Measured {
    operations: u64,
    time: Duration,
}

pub fn run(args: &BenchArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    if args.batch_size > 0 && args.count % args.batch_size != 0 {
        return refused("the number of iterations must be divisible by the batch size");
    }
    if !["seq", "rnd", "seq-nest", "rnd-nest"].contains(&args.write_mode.as_str()) {
        return refused("the write mode should be one of seq, rnd, seq-nest, or rnd-nest");
    }
    if !["seq", "rnd"].contains(&args.read_mode.as_str()) {
        return refused(format!("bench: read: invalid read mode: {}", args.read_mode));
    }
    if [&args.cpuprofile, &args.memprofile, &args.blockprofile].into_iter().flatten().any(|p| !p.is_empty()) {
        return refused("profiles are those of Go's runtime, and there is none here");
    }
    let _ = (&args.profile_mode, args.no_sync, args.initial_mmap_size);
    let dir = tempfile::tempdir()?;
    let path = args.path.clone().filter(|path| !path.as_os_str().is_empty());
    let path = path.unwrap_or_else(|| dir.path().join("bench.db"));
    let say = |text: &str| context.monitor.say(text);
    if args.work {
        say(&format!("work: {}", path.display()));
    }
    say(
        "what is measured is one bulk load of a new file by coldbolt, not transactions of bbolt, and reading it",
    );
    say("starting write benchmark.");
    let (written, keys) = write(args, &path)?;
    say("starting read benchmark.");
    let read = read(args, &path, &keys);
    if args.work {
        // A directory that is dropped is removed.
        let _ = dir.keep();
    } else {
        fs::remove_file(&path)?;
    }
    let read = read.map_err(|corrupt| Error::damaged(&path, corrupt))?;
    for (name, long, measured) in [("# Write", "BenchmarkWrite", written), ("# Read", "BenchmarkRead", read)]
    {
        print(args.gobench_output, (name, long), &measured, context.out)?;
    }
    if !args.gobench_output {
        writeln!(context.out)?;
    }
    Ok(())
}

/// Keys in their buckets, in the order of the file.
type Keys = Vec<(Option<Vec<u8>>, Vec<u8>)>;

fn write(args: &BenchArgs, path: &Path) -> Result<(Measured, Keys), Fail> {
    let nested = args.write_mode.ends_with("-nest");
    let random = args.write_mode.starts_with("rnd");
    let size = |size: i64, least| usize::try_from(size).ok().filter(|size| *size >= least);
    let sizes = (size(args.key_size, 4), size(args.value_size, 0));
    let (Some(key_size), Some(value_size)) = sizes else {
        return refused("write: a key has 4 bytes at least");
    };
    let count = u32::try_from(args.count.max(0)).map_err(|_| Fail::Refused("write: too many".to_owned()))?;
    let begun = Instant::now();
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let mut numbers: Vec<u32> = (1..=count).map(|n| if random { draw.next() } else { n }).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let batch =
        usize::try_from(args.batch_size).ok().filter(|batch| *batch > 0).unwrap_or(numbers.len().max(1));
    let long = |number: u32| {
        let mut key = number.to_be_bytes().to_vec();
        key.resize(key_size, 0);
        key
    };
    let fill = (args.fill_percent * 100.0).clamp(25.0, 100.0) as u8;
    let page_size = u32::try_from(args.page_size).unwrap_or(0);
    let options = Options { page_size, fill_percent: fill, ..Options::default() };
    let dest = Dest::create(path, Existing::Keep)?;
    let (file, _) = dest.file()?;
    let (value, mut keys) = (vec![0; value_size], Keys::new());
    let wrong = |error: WriteError| Fail::Refused(format!("write: {error}"));
    let mut load = || -> Result<(), WriteError> {
        let mut writer = Writer::new(&file, options)?;
        writer.begin_bucket(BUCKET, 0)?;
        for some in numbers.chunks(batch) {
            let bucket = some.first().filter(|_| nested).map(|number| long(*number));
            if let Some(name) = &bucket {
                writer.begin_bucket(name, 0)?;
            }
            for number in some {
                writer.put(&long(*number), &value)?;
                keys.push((bucket.clone(), long(*number)));
            }
            if nested {
                writer.end_bucket()?;
            }
        }
        writer.end_bucket()?;
        writer.finish().map(drop)
    };
    load().map_err(wrong)?;
    dest.finish()?;
    Ok((Measured { operations: keys.len() as u64, time: begun.elapsed() }, keys))
}

/// Reads everything again and again, for a second at least.
fn read(args: &BenchArgs, path: &Path, keys: &Keys) -> Result<Measured, Box<Corrupt>> {
    let source = Source::open(path).map_err(|error| gone(&error.to_string()))?;
    let db = Db::open(&source)?;
    let top = db.root().bucket(BUCKET)?.ok_or_else(|| gone("the bucket is not there"))?;
    let mut order: Vec<usize> = (0..keys.len()).collect();
    let mut draw = Draw(0x2545_f491_4f6c_dd1d);
    for at in (1..order.len()).rev() {
        order.swap(at, draw.next() as usize % (at + 1));
    }
    let begun = Instant::now();
    let mut operations = 0;
    while operations == 0 || begun.elapsed() < Duration::from_secs(1) {
        let before = operations;
        if args.read_mode == "rnd" {
            for (bucket, key) in order.iter().map(|at| &keys[*at]) {
                let inner = bucket.as_ref().map(|name| top.bucket(name)).transpose()?.flatten();
                let value = inner.as_ref().unwrap_or(&top).get(key)?;
                value.ok_or_else(|| gone("a key is not there"))?;
                operations += 1;
            }
        } else {
            operations += through(&top)?;
        }
        if operations == before {
            break;
        }
    }
    Ok(Measured { operations, time: begun.elapsed() })
}

/// How many keys there are in a bucket and in those inside it.
fn through(bucket: &Bucket<'_, '_>) -> Result<u64, Box<Corrupt>> {
    let (mut cursor, mut count, mut inside) = (bucket.cursor(), 0, Vec::new());
    while let Some(item) = cursor.next()? {
        if item.is_bucket {
            inside.push(item.key.to_vec());
        } else {
            count += 1;
        }
    }
    for name in inside {
        if let Some(inner) = bucket.bucket(&name)? {
            count += through(&inner)?;
        }
    }
    Ok(count)
}

fn gone(what: &str) -> Box<Corrupt> {
    use coldbolt::words::error::At;
    use coldbolt::words::finding::Code;
    Corrupt::new(Code::Unreadable, At::default(), what)
}

fn print(go: bool, (name, long): (&str, &str), measured: &Measured, out: &mut dyn Write) -> Result<(), Fail> {
    let Measured { operations, time } = measured;
    let each = time.as_nanos().checked_div((*operations).into()).unwrap_or(0);
    if go {
        return Ok(writeln!(out, "{long:<14}\t{operations:>8}\t{each:>10} ns/op")?);
    }
    let rate = 1_000_000_000u128.checked_div(each).unwrap_or(0);
    let each = Duration::from_nanos(u64::try_from(each).unwrap_or(u64::MAX));
    Ok(writeln!(out, "{name}\t{operations}(ops)\t{time:?}\t({each:?}/op)\t({rate} op/sec)")?)
}

/// Numbers in no order, the same each time (xorshift).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}
