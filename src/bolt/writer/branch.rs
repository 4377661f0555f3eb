//! The branches above the leaves, one open node a level.

use std::io::{Seek, Write};

use super::error::WriteError;
use super::node::{Node, PageKind};
use super::pages::Pages;

/// One level of branches: the last node of it, and the level above.
///
/// A node is written when two more children have come than it can take, so that the next node, too, has two at least.
/// A page that two keys do not fit on is a run of pages.
#[derive(Debug, Default)]
pub(super) struct Branch {
    node: Node,
    /// How many of the children fit on a page, or 2.
    fitting: usize,
    above: Option<Box<Branch>>,
}

impl Branch {
    /// Adds a child. The key is the child's first, byte for byte: Go finds a child in its parent by that key when it
    /// writes (`node.spill`), and any other separator makes it keep the old child beside the new one.
    pub(super) fn push<W: Write + Seek>(
        &mut self,
        pages: &mut Pages<W>,
        key: &[u8],
        child: u64,
    ) -> Result<(), WriteError> {
        self.node.push(key, &[], child);
        let count = self.node.len();
        if count <= 2 || self.node.size() <= pages.limit(1) {
            self.fitting = count;
        }
        if count.saturating_sub(self.fitting) >= 2 {
            self.write_front(pages, self.fitting)?;
        }
        Ok(())
    }

    fn write_front<W: Write + Seek>(&mut self, pages: &mut Pages<W>, count: usize) -> Result<(), WriteError> {
        let page = pages.write(PageKind::Branch, &self.node, count)?;
        self.above.get_or_insert_default().push(pages, self.node.first_key(), page)?;
        self.node.drop_front(count);
        self.fitting = self.node.len();
        Ok(())
    }

    /// Writes what is open, here and above, and gives the page at the top.
    pub(super) fn into_root<W: Write + Seek>(mut self, pages: &mut Pages<W>) -> Result<u64, WriteError> {
        let count = self.node.len();
        // One child too many: the last node gets two. Of three long keys none can be spared, they share a run of pages.
        if count > self.fitting && self.fitting > 2 {
            self.write_front(pages, count.saturating_sub(2))?;
        }
        let page = pages.write(PageKind::Branch, &self.node, self.node.len())?;
        match self.above {
            None => Ok(page),
            Some(mut above) => {
                above.push(pages, self.node.first_key(), page)?;
                above.into_root(pages)
            }
        }
    }
}
