//! `buckets`, `keys` and `get`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::ValueEnum;
use coldbolt::bolt::{Bucket, Db};
use coldbolt::codec::checksum::hex;
use coldbolt::codec::go::go_quote;
use coldbolt::ops::bolt::elements;
use coldbolt::words::error::Error;

use super::args::{GetArgs, KeysArgs, OneFile};
use super::file::{database, open, refused};
use crate::cli::context::{Context, Fail};
use crate::cli::format::{Format, Shown};

/// Bytes in a format, which is looked at only when there is something to be printed (`formatBytes`).
pub fn shown(bytes: &[u8], format: &str) -> Result<Shown, String> {
    match Format::from_str(format, false) {
        Ok(format) => Ok(format.show(bytes)),
        Err(_) => Err(format!("formatBytes: unsupported format: {format}")),
    }
}

pub fn buckets(args: &OneFile, context: &mut Context<'_>) -> Result<(), Fail> {
    let source = database(&args.path)?;
    let db = open(&source, context.monitor)?;
    for_each(&db.root(), context, |key, out| {
        out.write_all(key)?;
        Ok(writeln!(out)?)
    })
}

pub fn keys(args: &KeysArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    let source = database(&args.file.path)?;
    let db = open(&source, context.monitor)?;
    let bucket = last(&db, &args.buckets)?;
    for_each(&bucket, context, |key, out| {
        shown(key, &args.format).map_err(Fail::Refused)?.write(out)?;
        Ok(writeln!(out)?)
    })
}

pub fn get(args: &GetArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    if args.file.path.as_os_str().is_empty() {
        return refused("path required");
    }
    let Some((key, buckets)) = args.words.split_last() else {
        return refused("bucket is required: bucket required");
    };
    let key = parsed(key, &args.parse_format)?;
    if key.is_empty() {
        return refused("key is required: key required");
    }
    let source = database(&args.file.path)?;
    let db = open(&source, context.monitor)?;
    let bucket = last(&db, buckets)?;
    let value = bucket.get(&key).map_err(|corrupt| Error::damaged(source.path(), corrupt))?;
    let Some(value) = value else {
        return refused(format!("Error key not found for key: {} hex: \"{}\"", go_quote(&key), hex(&key)));
    };
    shown(&value, &args.format).map_err(Fail::Refused)?.write(context.out)?;
    Ok(writeln!(context.out)?)
}

/// The bucket at the end of a path (`findLastBucket`).
fn last<'d, 's>(db: &'d Db<'s>, names: &[OsString]) -> Result<Bucket<'d, 's>, Fail> {
    let mut bucket = db.root();
    for name in names {
        let next = bucket.bucket(name.as_encoded_bytes());
        let next = next.map_err(|corrupt| Error::damaged(db.source().path(), corrupt))?;
        bucket = next.ok_or_else(|| Fail::Refused("bucket not found".to_owned()))?;
    }
    Ok(bucket)
}

fn for_each(
    bucket: &Bucket<'_, '_>,
    context: &mut Context<'_>,
    mut each: impl FnMut(&[u8], &mut dyn Write) -> Result<(), Fail>,
) -> Result<(), Fail> {
    let mut done = Ok(());
    let out = &mut *context.out;
    elements(bucket, context.monitor, &mut |_, element| {
        done = each(element.key, out);
        if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    done
}

/// A key as it was given (`parseBytes`, `encoding/hex`).
fn parsed(word: &OsStr, format: &str) -> Result<Vec<u8>, Fail> {
    let bytes = word.as_encoded_bytes();
    match format {
        "ascii-encoded" => return Ok(bytes.to_vec()),
        "hex" => {}
        _ => return refused(format!("parseBytes: unsupported format: {format}")),
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if let Some(bad) = bytes.iter().copied().find(|byte| digit(*byte).is_none()) {
        let (number, shown) = (u32::from(bad), go_quote(char::from(bad).to_string().as_bytes()));
        return refused(format!("encoding/hex: invalid byte: U+{number:04X} '{}'", shown.trim_matches('"')));
    }
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return refused("encoding/hex: odd length hex string");
    }
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? * 16 + digit(*low)?);
    Ok(pairs.iter().filter_map(byte).collect())
}

/// A key as `page` prints it (`pagePrintLeaf`).
pub fn label(key: &[u8], out: &mut dyn Write) -> io::Result<()> {
    match Format::Auto.show(key) {
        Shown::Text(text) => write!(out, "{}", go_quote(text.as_bytes())),
        other => other.write(out),
    }
}
