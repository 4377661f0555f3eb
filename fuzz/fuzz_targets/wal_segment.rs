//! A WAL segment: both ways of reading end, entries come in index order, and each can be read again; so can those behind
//! its end.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::io::{Source, Window};
use coldbolt::wal::beyond::beyond;
use coldbolt::wal::{Log, LogCursor, Scan, Segment};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let source = Source::from_bytes("0000000000000000-0000000000000000.wal", data.to_vec());
    let log = Log::new([("0000000000000000-0000000000000000.wal", &source)]);
    for scan in [Scan { after: Some(0), raw: false }, Scan { after: None, raw: true }] {
        let (entries, summary) = log.entries(scan, &mut |fault| drop(fault.to_string()));
        assert!(entries.windows(2).all(|pair| pair[0].index < pair[1].index));
        assert!(summary.segments.iter().all(|segment| segment.used <= source.len()));
        let mut cursor = LogCursor::default();
        for entry in &entries {
            assert_eq!(log.reread(entry, &mut cursor).unwrap().index, entry.index);
        }
    }
    let mut next = 0;
    let found = beyond(&source, 0, &mut |one| {
        assert!(one.offset >= next && one.offset % 8 == 0 && one.entry.index.get() > 0);
        let mut window = Window::new();
        next = one.offset + Segment::reread(&source, &mut window, one.offset).unwrap().frame;
        ControlFlow::Continue(())
    });
    assert!(found.is_ok());
});
