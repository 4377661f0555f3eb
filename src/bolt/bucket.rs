//! Buckets: named trees inside the tree.

use super::{Db, LeafElement, Meta, Page, Pgid};
use crate::codec::{array_at, to_u64};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// Length of the header a bucket's value starts with.
pub const BUCKET_HEADER: usize = 16;

/// Where a bucket's elements are.
#[derive(Debug, Clone)]
pub enum Root {
    /// In a tree of its own.
    Tree(Pgid),
    /// In a leaf page inside the bucket's own value.
    Inline {
        /// Byte offset of that page in the file.
        offset: u64,
        /// The page.
        bytes: Vec<u8>,
    },
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct Bucket<'d, 's> {
    pub(super) db: &'d Db<'s>,
    /// Its name; empty for the root bucket.
    pub name: Vec<u8>,
    /// Where its elements are.
    pub root: Root,
    /// Its counter; etcd leaves it 0.
    pub sequence: u64,
    /// The leaf page its entry lies in; for the root bucket its own top page.
    pub page: Pgid,
}

impl<'s> Db<'s> {
    /// The root bucket.
    #[must_use]
    pub fn root(&self) -> Bucket<'_, 's> {
        let Meta { root, sequence, .. } = *self.meta();
        Bucket { db: self, name: Vec::new(), root: Root::Tree(root), sequence, page: root }
    }
}

impl<'d, 's> Bucket<'d, 's> {
    /// The bucket that an element of leaf `page` holds.
    ///
    /// # Errors
    /// `bucket-header` when the value is too short for one.
    pub fn parse(
        db: &'d Db<'s>,
        page: &Page<'_>,
        element: &LeafElement<'_>,
    ) -> Result<Bucket<'d, 's>, Box<Corrupt>> {
        let offset = page.offset.saturating_add(to_u64(element.value_at));
        let header = || Some((array_at(element.value, 0)?, array_at(element.value, 8)?));
        let Some((root, sequence)) = header() else {
            let at = At::page(page.id.0, offset).bucket(element.key);
            let what = format!(
                "a bucket's value has at least {BUCKET_HEADER} bytes, this one has {}",
                element.value.len()
            );
            return Err(Corrupt::new(Code::BucketHeader, at, what));
        };
        let root = match u64::from_le_bytes(root) {
            0 => Root::Inline {
                offset: offset.saturating_add(to_u64(BUCKET_HEADER)),
                bytes: element.value.get(BUCKET_HEADER..).unwrap_or_default().to_vec(),
            },
            id => Root::Tree(Pgid(id)),
        };
        Ok(Bucket {
            db,
            name: element.key.to_vec(),
            root,
            sequence: u64::from_le_bytes(sequence),
            page: page.id,
        })
    }

    /// Whether the value of a bucket with a tree of its own is a header and no more, as Go writes it
    /// (`Bucket.spill`): more is left where the header of an inline bucket was altered.
    ///
    /// # Errors
    /// `bucket-header`.
    pub(super) fn check_length(page: &Page<'_>, element: &LeafElement<'_>) -> Result<(), Box<Corrupt>> {
        match array_at(element.value, 0).map(u64::from_le_bytes) {
            // One that is shorter has no header at all: `parse` tells.
            Some(root @ 1..) if element.is_bucket && element.value.len() > BUCKET_HEADER => {
                let what = format!(
                    "a bucket rooted at page {root} has a value of {BUCKET_HEADER} bytes, this one has {}",
                    element.value.len()
                );
                Err(Corrupt::new(
                    Code::BucketHeader,
                    page.element_at(element.index).bucket(element.key),
                    what,
                ))
            }
            _ => Ok(()),
        }
    }

    /// The file it is in.
    #[must_use]
    pub fn db(&self) -> &'d Db<'s> {
        self.db
    }

    /// The page of an inline bucket.
    ///
    /// # Errors
    /// Those of [`Page::parse_inline`].
    pub fn inline_page(&self) -> Option<Result<Page<'_>, Box<Corrupt>>> {
        match &self.root {
            Root::Tree(_) => None,
            Root::Inline { offset, bytes } => {
                Some(Page::parse_inline(self.page, *offset, bytes).map_err(|mut c| {
                    c.at = c.at.bucket(&self.name);
                    c
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_bucket_with_a_tree_is_a_header_and_no_more() {
        let judged = |flags: u8, root: u8, len: u8| {
            let mut bytes = [0; 128];
            (bytes[8], bytes[10]) = (2, 1);
            // The element, its key of one byte, the value.
            (bytes[16], bytes[20], bytes[24], bytes[28]) = (flags, 16, 1, len);
            bytes[33] = root;
            let page = Page::parse(Pgid(0), 0, &bytes).unwrap();
            Bucket::check_length(&page, &page.leaf(0).unwrap())
                .map_err(|corrupt| (corrupt.code, corrupt.at.element))
        };
        assert_eq!(judged(1, 7, 16), Ok(()));
        assert_eq!(judged(1, 7, 17), Err((Code::BucketHeader, Some(0))));
        // An inline bucket, a plain value, and what is too short to be either.
        assert_eq!([judged(1, 0, 40), judged(0, 7, 17), judged(1, 7, 15)], [Ok(()), Ok(()), Ok(())]);
    }
}
