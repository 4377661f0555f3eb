//! What an API server's own code encrypts, opened.

use coldbolt::kube::encryption::{Keyring, Unopened};
use support::encrypted::{EncryptedValue, KeyFile};
use support::peers;
use support::server::run;

fn ring(file: KeyFile) -> Keyring {
    let mut keyring = Keyring::new();
    match file {
        KeyFile::Configuration(text) => keyring.add_configuration(text.as_bytes()).unwrap(),
        KeyFile::Kms(text) => keyring.add_kms_keys(text.as_bytes()).unwrap(),
    }
    keyring
}

#[test]
fn what_the_servers_code_encrypts_opens_each_time_anew() {
    let Some(program) = peers::find("kube-encrypted/kube-encrypted") else { return };
    let home = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let made = run(&mut peers::command(&program, home.path()), b"");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let values = EncryptedValue::all(&String::from_utf8(made.stdout).unwrap());
        assert_eq!(values.len(), 11);
        for one in values {
            let key = one.key.as_bytes();
            assert_eq!(
                ring(one.key_file(false)).open(key, &one.value).as_ref(),
                Ok(&one.plain),
                "{}",
                one.prefix
            );
            let refused = ring(one.key_file(true)).open(key, &one.value);
            assert!(matches!(refused, Err(Unopened::WrongKey { .. })), "{}: {refused:?}", one.prefix);
        }
    }
}

#[test]
fn the_bootstrap_value_of_the_tests_is_what_gos_cryptography_makes_of_its_plain_text() {
    let Some(program) = peers::find("k3s-bootstrap/k3s-bootstrap") else { return };
    let home = tempfile::tempdir().unwrap();
    let plain = include_bytes!("../peers/go/k3s-bootstrap/plain.json");
    let made = run(peers::command(&program, home.path()).arg("correct horse"), plain);
    assert_eq!(String::from_utf8(made.stdout).unwrap(), include_str!("../peers/go/k3s-bootstrap/answer.txt"));
}
