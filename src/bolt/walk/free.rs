//! The pages that no tree holds.

use super::visitor::Visited;
use crate::bolt::{Db, Freelist, Pgid};
use crate::codec::to_u64;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// What is left once all trees are walked: the freelist against them, and pages that belong to nobody.
///
/// Returns the number of free pages: listed, or without a stored freelist all that were not visited.
pub fn check_freelist(db: &Db<'_>, visited: &Visited, fault: &mut dyn FnMut(Corrupt)) -> u64 {
    let present = db.pages_present();
    let unvisited = || (2..present).map(Pgid).filter(|id| !visited.has(*id));
    let list = match Freelist::read(db) {
        Ok(Some(list)) => list,
        Ok(None) => return to_u64(unvisited().count()),
        Err(corrupt) => {
            fault(*corrupt);
            return 0;
        }
    };
    let high = db.meta().high_water;
    let list_at = At::page(list.page.0, db.offset_of(list.page));
    if !visited.mark(list.page, list.pages) {
        fault(*Corrupt::new(
            Code::PageShared,
            list_at.clone(),
            "a page of the freelist is also a page of the tree",
        ));
    }
    let listed = Visited::new(db);
    for (index, id) in list.ids.iter().enumerate() {
        let at = || list_at.clone().element(index);
        if id.0 < 2 || *id >= high {
            let what = format!("free page {id} is not between 2 and the high water mark {high}");
            fault(*Corrupt::new(Code::FreelistInvalid, at(), what));
        } else if id.0 < present && !listed.mark(*id, 1) {
            fault(*Corrupt::new(Code::FreelistInvalid, at(), format!("page {id} is listed as free twice")));
        } else if visited.has(*id) {
            fault(*Corrupt::new(
                Code::FreelistReachable,
                at(),
                format!("page {id} is in use and listed as free"),
            ));
        }
    }
    for id in unvisited().filter(|id| !listed.has(*id)) {
        fault(*Corrupt::new(
            Code::PageLeaked,
            At::page(id.0, db.offset_of(id)),
            "page is neither in a tree nor listed as free",
        ));
    }
    to_u64(list.ids.len())
}
