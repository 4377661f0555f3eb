//! One change by hand to a file of any bytes: what is not said to be changed is as it was.
#![no_main]

use coldbolt::bolt::Pgid;
use coldbolt::bolt::writer::surgery::{MetaUpdate, Operation, operate};
use coldbolt::io::Source;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[which, a, b, c], file)) = data.split_first_chunk::<4>() else { return };
    let (from, to) = (usize::from(b), Some(usize::from(c)).filter(|to| *to != 255));
    let update = MetaUpdate {
        number: a,
        page_size: Some(1024 << (b % 8)).filter(|_| b < 128),
        root: Some(c.into()),
        ..MetaUpdate::default()
    };
    let operation = match which % 8 {
        0 => Operation::RevertMeta,
        1 => Operation::AbandonFreelist,
        2 => Operation::RebuildFreelist((0..u64::from(a) * u64::from(b)).map(Pgid).collect()),
        3 => Operation::CopyPage { from: Pgid(a.into()), to: Pgid(b.into()) },
        4 => Operation::ClearElements { page: Pgid(a.into()), from, to },
        5 => Operation::UpdateMeta(update),
        6 => Operation::Commit { changes: Default::default(), dropped: vec![b"key".to_vec()] },
        _ => Operation::Nothing,
    };
    let source = Source::from_bytes("file.db", file.to_vec());
    let Ok(operated) = operate(&source, &operation) else { return };
    assert!(operated.source.len() >= source.len() || matches!(operation, Operation::Commit { .. }));
    let mut after = vec![0; operated.source.len().min(source.len()) as usize];
    if operated.source.read_exact_at(0, &mut after).is_err() {
        return;
    }
    for (at, (old, new)) in file.iter().zip(&after).enumerate() {
        let at = at as u64;
        let told = operated.edits.iter().any(|edit| (edit.offset..edit.offset + edit.len).contains(&at));
        assert!(old == new || told, "byte {at}");
    }
});
