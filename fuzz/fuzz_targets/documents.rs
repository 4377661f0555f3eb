//! Files that people write or that we wrote earlier: a policy in TOML, the manifest of a static pod in YAML, a
//! manifest of ours in JSON. Each is taken or refused, soon.
#![no_main]

use std::path::Path;

use coldbolt::kube::manifest as pod;
use coldbolt::ops::verify::manifest::Manifest;
use coldbolt::ops::verify::policy::Policy;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(pod) = pod::StaticPod::parse(data) {
        let _ = (pod.setting("name"), pod.wal_dir(), pod.version());
        if let Ok(dir) = pod.data_dir() {
            assert!(Path::new(&dir.value).is_absolute() && !dir.value.contains("/../"), "{dir:?}");
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = toml::from_str::<Policy>(text) {
        assert!(error.span().is_none_or(|span| span.start <= data.len()));
    }
    if let Ok(manifest) = serde_json::from_str::<Manifest>(text) {
        let again = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&again).unwrap(), manifest);
        for file in &manifest.files {
            assert!(!file.name().contains('/'));
        }
    }
});
