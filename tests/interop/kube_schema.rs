//! The table by which Kubernetes objects are decoded is what the published Go modules say.

use std::process::Command;

use support::peers;

#[test]
fn the_table_of_messages_is_what_kubernetes_own_types_say() {
    let Some(program) = peers::find("kube-schema/kube-schema") else { return };
    // With the caller's environment: the modules come through his go, and stay in its cache.
    let made = Command::new(program).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8(made.stdout).unwrap();
    let due = include_str!("../../src/kube/schema/table.txt");
    let differs = made.lines().zip(due.lines()).enumerate().find(|(_, (made, due))| made != due);
    assert!(
        made == due,
        "make it anew: kube-schema >src/kube/schema/table.txt; line, what is made, what is there: {differs:?}"
    );
}
