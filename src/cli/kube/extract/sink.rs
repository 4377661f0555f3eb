//! Where objects go: files in a directory, a tar, or one stream.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use coldbolt::Error;
use coldbolt::io::dest::dir::{DestDir, Steps};
use coldbolt::io::dest::{Dest, Existing};
use coldbolt::words::error::show;

use super::super::super::context::Fail;

/// Mode of every file in a tar.
const FILE_MODE: u32 = 0o600;

pub enum Sink<'o> {
    Dir {
        dir: Box<DestDir<'static>>,
        /// The folder of the last file.
        folder: PathBuf,
    },
    Tar {
        tar: Box<tar::Builder<Dest>>,
        path: PathBuf,
    },
    File {
        file: Box<Dest>,
        path: PathBuf,
    },
    Stream(&'o mut dyn Write),
}

/// Whether a path is that of one file for all objects.
pub fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
}

impl<'o> Sink<'o> {
    /// Begins what will be at `path`; nothing may be there.
    pub fn create(path: &Path) -> Result<Sink<'o>, Fail> {
        if path.extension().is_some_and(|extension| extension == "tar") {
            let tar = Box::new(tar::Builder::new(Dest::create(path, Existing::Keep)?));
            return Ok(Sink::Tar { tar, path: path.to_path_buf() });
        }
        if is_yaml(path) {
            let file = Box::new(Dest::create(path, Existing::Keep)?);
            return Ok(Sink::File { file, path: path.to_path_buf() });
        }
        Ok(Sink::Dir { dir: Box::new(DestDir::create(path, Steps::free())?), folder: PathBuf::new() })
    }

    pub fn put(&mut self, path: &str, text: &str) -> Result<(), Fail> {
        match self {
            Sink::Dir { dir, folder } => {
                let file = Path::new(path);
                let parent = file.parent().unwrap_or(Path::new(""));
                if parent != folder {
                    dir.dir(parent)?;
                    *folder = parent.to_path_buf();
                }
                Ok(dir.write(file, text.as_bytes())?)
            }
            Sink::Tar { tar, path: to } => {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                header.set_mode(FILE_MODE);
                let put = tar.append_data(&mut header, path, text.as_bytes());
                Ok(put.map_err(|source| Error::Output { what: show(to), source })?)
            }
            Sink::File { file, path: to } => {
                let put = document(file, text);
                Ok(put.map_err(|source| Error::Output { what: show(to), source })?)
            }
            Sink::Stream(out) => document(*out, text).map_err(streamed),
        }
    }

    /// Brings it to its place.
    pub fn finish(self) -> Result<(), Fail> {
        match self {
            Sink::Dir { dir, .. } => {
                dir.place()?;
                Ok(())
            }
            Sink::Tar { tar, path } => {
                let dest = tar.into_inner().map_err(|source| Error::Output { what: show(&path), source })?;
                Ok(dest.finish()?)
            }
            Sink::File { file, .. } => Ok(file.finish()?),
            Sink::Stream(out) => out.flush().map_err(streamed),
        }
    }
}

fn document(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    out.write_all(b"---\n").and_then(|()| out.write_all(text.as_bytes()))
}

/// Less than all of it is a failure: it is no answer of which somebody has read enough.
fn streamed(error: std::io::Error) -> Fail {
    if error.kind() == ErrorKind::BrokenPipe { Fail::Cut } else { Fail::Output(error) }
}
