//! Lines of the audit log of an API server.
#![no_main]

use coldbolt::kube::audit::{AuditEvent, AuditLog};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let log = AuditLog::read(&mut &data[..], 1 << 16).expect("memory can be read");
    let kept = log.events.len() as u64 + log.left_out;
    assert!(kept + log.unreadable <= log.lines);
    assert!(log.events.is_sorted_by_key(|event| event.received));
    assert_eq!(log.first_unreadable.is_some(), log.unreadable > 0);
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(Some(event)) = AuditEvent::parse(line) {
            assert!(event.received <= event.answered && event.revision.is_none_or(|revision| revision > 0));
        }
    }
});
