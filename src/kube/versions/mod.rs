//! Every version of every object that a file holds: live ones, those that history still has, and those that are stored no
//! more and lie in free pages all the same.

mod each;
mod free;
mod place;
mod wanted;

pub(in crate::kube) use self::each::each_version;
pub use self::free::{FreeValues, Remnants, Residue};
pub(in crate::kube) use self::place::FoundVersion;
pub use self::place::ValuePlace;
pub(in crate::kube) use self::wanted::Wanted;
