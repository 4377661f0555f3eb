//! The objects of older Kubernetes in `fixtures/kube` are what the Go types of their time make.

use support::packed::unpacked;
use support::server::run;
use support::{fixture, peers};

#[test]
fn objects_of_older_kubernetes_are_what_the_types_of_their_time_make() {
    for release in ["1.17", "1.20", "1.26"] {
        let Some(program) = peers::find(&format!("kube-objects-{release}/kube-objects")) else { return };
        let home = tempfile::tempdir().unwrap();
        let made = run(&mut peers::command(&program, home.path()), b"");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let due = unpacked(&fixture(&format!("kube/old-{release}.ndjson.gz")));
        assert!(made.stdout == due, "{release}: make it anew, see tests/peers/README.md");
    }
}
