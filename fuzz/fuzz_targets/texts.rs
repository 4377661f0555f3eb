//! What people and names of files say: each text is taken or refused, and what was taken is written as it was read.
#![no_main]

use coldbolt::etcd::identity::NewCluster;
use coldbolt::etcd::peer_url::peer_urls;
use coldbolt::etcd::{BucketKey, KeyRange};
use coldbolt::ops::verify::policy::{Age, Id, Percent};
use coldbolt::replay::apply::Version;
use coldbolt::snap::file::SnapName;
use coldbolt::wal::name::{FileKind, SegmentName, classify};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(key) = BucketKey::parse(data) {
        assert_eq!(key.to_bytes(), data);
    }
    let (first, second) = data.split_at(data.len() / 2);
    let prefix = KeyRange::prefix(first);
    for key in [data, second].into_iter().filter(|key| !key.is_empty()) {
        assert_eq!(prefix.contains(key), key.starts_with(first));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(name) = SegmentName::parse(text) {
        assert_eq!(name.to_string(), text.to_ascii_lowercase());
        assert!(matches!(classify(text), FileKind::Segment(_)));
    }
    if let Some(name) = SnapName::parse(text) {
        assert_eq!(name.to_string(), text.to_ascii_lowercase());
    }
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    if let Ok(urls) = peer_urls(text.split(',')) {
        let again = peer_urls(urls.iter().map(String::as_str));
        assert_eq!(again.as_ref(), Ok(&urls), "{text:?}");
    }
    if let Ok(cluster) = NewCluster::parse(text, "token") {
        assert!(cluster.members.is_sorted_by_key(|member| member.id));
        let _ = (cluster.check(), cluster.member("a", text), cluster.to_text());
    }
    if let Ok(age) = text.parse::<Age>() {
        assert!(!age.to_string().is_empty());
    }
    let _ = (text.parse::<Id>(), text.parse::<Percent>());
});
