//! A file that is mapped into memory (feature `mmap`), so that its bytes are borrowed and never copied.
//!
//! This is the only `unsafe` of the library. What it takes is told at
//! [`Source::open_mapped`](super::Source::open_mapped).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::file::InputFile;
use super::os;
use memmap2::{Mmap, MmapOptions};

static ALL_FILES: AtomicBool = AtomicBool::new(false);

/// From now on, whether every regular file that [`Source::open`](super::Source::open) opens is mapped: for a program
/// whose user decides so for all its inputs. It makes the promise of
/// [`Source::open_mapped`](super::Source::open_mapped) for each of them.
pub fn map_all_files(yes: bool) {
    ALL_FILES.store(yes, Ordering::Relaxed);
}

/// Whether [`map_all_files`] was asked for.
#[must_use]
pub fn all_files() -> bool {
    ALL_FILES.load(Ordering::Relaxed)
}

/// A regular file and its bytes.
#[derive(Debug)]
pub(super) struct Map {
    file: InputFile,
    bytes: Mmap,
}

impl Map {
    /// Maps a regular file; the promise is that of [`Source::open_mapped`](super::Source::open_mapped).
    #[expect(
        unsafe_code,
        reason = "a map of bytes that change or vanish is undefined behaviour or SIGBUS. That nobody changes the file cannot be \
                  checked here: it is what callers of `Source::open_mapped`, `Source::map` and `map_all_files` promise, or sealed by \
                  the kernel. Where nobody promises it, nothing is mapped"
    )]
    pub(super) fn of(file: InputFile) -> Result<Map, (InputFile, io::Error)> {
        let Ok(len) = usize::try_from(file.len()) else {
            return Err((file, io::Error::from(io::ErrorKind::FileTooLarge)));
        };
        let Some(open) = file.handle() else {
            return Err((file, io::Error::from(io::ErrorKind::Unsupported)));
        };
        // SAFETY: nobody writes to the file or shortens it while the map lives, see above. The map is private and
        // read-only, and `len` is what the file had when it was opened.
        match unsafe { MmapOptions::new().len(len).map_copy_read_only(open) } {
            Ok(bytes) => Ok(Map { file, bytes }),
            Err(error) => Err((file, error)),
        }
    }

    pub(super) fn file(&self) -> &InputFile {
        &self.file
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether a file is in memory only and the kernel keeps everybody from changing it: a memory file with both seals.
pub(super) fn is_constant(file: &InputFile) -> bool {
    file.handle().is_some_and(os::is_sealed)
        // It may have been shortened between being opened and being sealed.
        && file.stamp().is_some_and(|now| now.len >= file.len())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::io::Source;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_memory_file_is_mapped_when_it_is_sealed_and_read_when_it_is_not() {
        use std::fs::File;
        use std::path::Path;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let mut file = File::from(memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap());
        file.write_all(b"content").unwrap();
        let open = |file: &File| Source::from_file(Path::new("file"), file.try_clone().unwrap()).unwrap();
        assert_eq!(open(&file).as_slice(), None);
        fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
        assert_eq!(open(&file).as_slice(), None);
        fcntl_add_seals(&file, SealFlags::WRITE).unwrap();
        assert_eq!(open(&file).as_slice(), Some(&b"content"[..]));
    }

    #[test]
    fn a_mapped_file_is_a_file_with_its_bytes_at_hand() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for content in [&b""[..], &[7; 10_000]] {
            file.write_all(content).unwrap();
            let source = Source::open_mapped(file.path()).unwrap();
            assert_eq!(source.as_slice(), Some(content));
            assert_eq!(source.read_all(1 << 20).unwrap(), content);
            assert_eq!(source.len(), content.len() as u64);
            assert_eq!(source.changed(), None);
            assert!(source.read_exact_at(source.len(), &mut [0]).is_err());
        }
        let source = Source::open_mapped(file.path()).unwrap();
        file.write_all(b"more").unwrap();
        assert!(source.changed().is_some());
    }
}
