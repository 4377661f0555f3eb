//! `kube secrets`: every place in a file that holds a secret, by name.

use crate::etcd::{KeyRange, datadir};
use crate::kube::exposure::{Exposed, Exposure, ExposureOptions, ExposureReport, exposures};
use crate::kube::k3s::BOOTSTRAP;
use crate::ops::protection::{objects, scanned};
use crate::store::Store;
use crate::words::error::{Error, Result};
use crate::words::monitor::{Monitor, Relay};

/// Looks at every stored version, and at every page that no tree holds. Objects lie behind `prefix`, or where they are
/// found; with `namespace` only those in it are told, and nothing else. What the store opens is looked into.
///
/// # Errors
/// As [`protection`](super::protection::protection).
pub fn exposure(
    store: &Store<'_>,
    prefix: Option<&str>,
    namespace: Option<&str>,
    monitor: &dyn Monitor,
) -> Result<ExposureReport> {
    let db = datadir::database(store.source())?;
    let scan = scanned(store, &db, monitor)?;
    let part = Relay::new(monitor).as_part().without_findings().without_progress();
    let places = objects(&db, &scan, prefix, &part);
    let mut report = match places {
        Some(places) => {
            let options = ExposureOptions { namespace, opener: store.opener() };
            exposures(&db, &scan, &places, options, &part)
        }
        None => ExposureReport::default(),
    };
    if monitor.cancelled() {
        return Err(Error::Cancelled);
    }
    if namespace.is_some() {
        return Ok(report);
    }
    for state in store.at(None)?.keys(KeyRange::prefix(BOOTSTRAP)) {
        let name = String::from_utf8_lossy(&state?.key).into_owned();
        report.places.push(beside(Exposed::K3sBootstrap, name));
    }
    let users = scan.facts.auth.users.iter().map(|user| user.name.clone());
    report.places.extend(users.map(|user| beside(Exposed::EtcdUser, user)));
    Ok(report)
}

/// What is no object.
fn beside(what: Exposed, name: String) -> Exposure {
    Exposure {
        what,
        resource: "".into(),
        namespace: "".into(),
        name: name.into(),
        kind_of_secret: "".into(),
        fields: Vec::new(),
        ends: None,
        live: true,
        history: 0,
        free: 0,
        encrypted: 0,
    }
}
