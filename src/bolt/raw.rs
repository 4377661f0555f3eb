//! Any page of a file by its number, shown as far as it can be read: what a person needs who looks at a damaged file.

use super::limits::{ELEMENT, HEADER};
use super::page::Header;
use super::{Page, PageKind, Pgid};
use crate::codec::{to_u64, to_usize};
use crate::io::{Source, Window};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// A page as it lies in the file. Nothing but its place is certain.
#[derive(Debug)]
pub struct RawPage<'w> {
    /// The header as stored.
    pub header: Header,
    /// The page, if its type is one; its count is cut to what its bytes have room for.
    pub page: Option<Page<'w>>,
    /// Bytes of it that were read: the whole run, or only the first page when the header cannot be trusted with the
    /// rest.
    pub bytes: &'w [u8],
    /// What is wrong with the header.
    pub faults: Vec<Corrupt>,
}

impl<'w> RawPage<'w> {
    /// Reads page `id` of a file whose pages have `page_size` bytes. No meta page is needed and no high water mark
    /// counts.
    ///
    /// # Errors
    /// `file-too-short` when the file ends before the page does, `unreadable` when it cannot be read.
    pub fn read(
        source: &'w Source,
        page_size: u64,
        id: Pgid,
        window: &'w mut Window,
    ) -> Result<RawPage<'w>, Box<Corrupt>> {
        let offset = id.0.saturating_mul(page_size);
        let end = offset.saturating_add(page_size);
        if source.len() < end {
            let what = format!("the page ends at byte {end}, the file at {}", source.len());
            return Err(Corrupt::new(Code::FileTooShort, At::page(id.0, offset), what));
        }
        let mut faults = Vec::new();
        let first = window.get(source, offset, to_usize(page_size))?;
        let Some(header) = Header::parse(first) else {
            return Err(Corrupt::new(
                Code::PageCount,
                At::page(id.0, offset),
                format!("shorter than a page header of {HEADER} bytes"),
            ));
        };
        let mut run = u64::from(header.overflow).saturating_add(1);
        if let Err(corrupt) = header.check(id, offset) {
            faults.push(*corrupt);
            run = 1;
        }
        let end = offset.saturating_add(run.saturating_mul(page_size));
        if source.len() < end {
            let what = format!(
                "the page's {} overflow pages end at byte {end}, the file at {}",
                header.overflow,
                source.len()
            );
            faults.push(*Corrupt::new(Code::FileTooShort, At::page(id.0, offset), what));
            run = 1;
        }
        let bytes = window.get(source, offset, to_usize(run.saturating_mul(page_size)))?;
        let page = PageKind::from_flags(header.flags).and_then(|kind| {
            match Page::of_header(header, kind, id, offset, bytes) {
                Ok(page) => Some(page),
                Err(corrupt) => {
                    faults.push(*corrupt);
                    let room = to_u64(bytes.len().saturating_sub(HEADER) / ELEMENT);
                    let header = Header { count: u16::try_from(room).unwrap_or(u16::MAX), ..header };
                    Page::of_header(header, kind, id, offset, bytes).ok()
                }
            }
        });
        Ok(RawPage { header, page, bytes, faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pages of 1024 bytes; the header of the leaf at 1 after a change.
    fn read(len: usize, change: impl FnOnce(&mut [u8])) -> Result<(usize, Option<usize>, Vec<Code>), Code> {
        let mut bytes = vec![0; 3 * 1024];
        bytes[1024] = 1;
        bytes[1024 + 8] = 2;
        change(&mut bytes[1024..]);
        bytes.truncate(len);
        let (source, mut window) = (Source::from_bytes("file", bytes), Window::new());
        let raw = RawPage::read(&source, 1024, Pgid(1), &mut window).map_err(|corrupt| corrupt.code)?;
        Ok((
            raw.bytes.len(),
            raw.page.map(|page| page.count),
            raw.faults.iter().map(|fault| fault.code).collect(),
        ))
    }

    #[test]
    fn a_page_and_its_overflow_are_read_up_to_the_last_byte_of_the_file() {
        let overflow = |n: u8| move |page: &mut [u8]| page[12] = n;
        assert_eq!(read(2048, overflow(0)), Ok((1024, Some(0), vec![])));
        assert_eq!(read(2047, overflow(0)), Err(Code::FileTooShort));
        assert_eq!(read(3072, overflow(1)), Ok((2048, Some(0), vec![])));
        assert_eq!(read(3071, overflow(1)), Ok((1024, Some(0), vec![Code::FileTooShort])));
    }

    #[test]
    fn what_the_header_says_wrong_is_told_and_the_rest_of_it_used() {
        assert_eq!(read(3072, |page| page[10] = 64), Ok((1024, Some(63), vec![Code::PageCount])));
        assert_eq!(
            read(3072, |page| page[10..13].copy_from_slice(&[0xff, 0xff, 1])),
            Ok((2048, Some(127), vec![Code::PageCount]))
        );
        // Of another page's header the overflow means nothing.
        assert_eq!(
            read(3072, |page| page[..13].copy_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1])),
            Ok((1024, Some(3), vec![Code::PageId]))
        );
        assert_eq!(read(3072, |page| page[8] = 3), Ok((1024, None, vec![Code::PageType])));
    }
}
