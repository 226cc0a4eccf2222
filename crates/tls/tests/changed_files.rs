//! What is made from files follows them; a bad change keeps what was, and is told once.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::SystemTime};

use foreshift_tls::{Change, Watched, listener};
use foreshift_wire::{ClientAuth, ListenerCertificate, Protocol};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;

fn write_pair(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    fs::write(folder.join("tls.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
}

fn open(folder: &Path) -> Watched<ServerConfig> {
    let files = ListenerCertificate {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        client_ca: None,
        client_auth: ClientAuth::Required,
    };
    listener(&[files], Protocol::Http, SystemTime::now())
        .unwrap()
        .watched
}

fn look(watched: &Watched<ServerConfig>) -> Change {
    watched.look(SystemTime::now())
}

#[test]
fn a_folder_that_is_swapped_by_a_symbolic_link_is_noticed() {
    // As Kubernetes mounts a secret: ..data points to a folder, and is replaced by a rename.
    let root = tempfile::tempdir().unwrap();
    write_pair(&root.path().join("1"));
    symlink("1", root.path().join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), root.path().join(name)).unwrap();
    }
    let watched = open(root.path());
    let before = watched.current();
    assert!(matches!(look(&watched), Change::None));
    assert!(Arc::ptr_eq(&before, &watched.current()));
    write_pair(&root.path().join("2"));
    symlink("2", root.path().join("..new")).unwrap();
    fs::rename(root.path().join("..new"), root.path().join("..data")).unwrap();
    assert!(matches!(look(&watched), Change::Renewed(_)));
    assert!(!Arc::ptr_eq(&before, &watched.current()));
    assert!(matches!(look(&watched), Change::None));
}

#[test]
fn a_bad_change_keeps_what_was_and_is_told_once_after_a_second_look() {
    let root = tempfile::tempdir().unwrap();
    write_pair(root.path());
    let watched = open(root.path());
    let (before, key) = (watched.current(), root.path().join("tls.key"));
    let good = fs::read(&key).unwrap();
    for bad in [&b""[..], b"no key"] {
        fs::write(&key, bad).unwrap();
        assert!(
            matches!(look(&watched), Change::None),
            "between two files that are written"
        );
        assert!(matches!(look(&watched), Change::Failed(e) if e.file == key));
        assert!(matches!(look(&watched), Change::None), "told already");
        assert!(
            matches!(watched.reload(SystemTime::now()), Change::Failed(_)),
            "asked for"
        );
        assert!(Arc::ptr_eq(&before, &watched.current()));
    }
    fs::write(&key, &good).unwrap();
    assert!(matches!(look(&watched), Change::None));
    fs::write(&key, "again").unwrap();
    look(&watched);
    assert!(
        matches!(look(&watched), Change::Failed(_)),
        "a new failure is told again"
    );
}

#[test]
fn a_certificate_and_its_key_that_come_one_after_the_other_are_no_failure() {
    let root = tempfile::tempdir().unwrap();
    write_pair(root.path());
    let watched = open(root.path());
    let new = tempfile::tempdir().unwrap();
    write_pair(new.path());
    fs::copy(new.path().join("tls.crt"), root.path().join("tls.crt")).unwrap();
    assert!(matches!(look(&watched), Change::None));
    fs::copy(new.path().join("tls.key"), root.path().join("tls.key")).unwrap();
    assert!(matches!(look(&watched), Change::Renewed(_)));
}

#[test]
fn tickets_outlive_a_renewed_certificate_but_not_other_client_authorities() {
    let root = tempfile::tempdir().unwrap();
    write_pair(root.path());
    let ca = root.path().join("ca.pem");
    fs::copy(root.path().join("tls.crt"), &ca).unwrap();
    let files = ListenerCertificate {
        certificate: root.path().join("tls.crt"),
        key: root.path().join("tls.key"),
        client_ca: Some(ca.clone()),
        client_auth: ClientAuth::Required,
    };
    let watched = listener(&[files], Protocol::Http, SystemTime::now())
        .unwrap()
        .watched;
    let sealed = watched.current().ticketer.encrypt(b"a session").unwrap();
    write_pair(root.path());
    assert!(matches!(look(&watched), Change::Renewed(_)));
    assert_eq!(
        watched.current().ticketer.decrypt(&sealed).as_deref(),
        Some(&b"a session"[..])
    );
    fs::copy(root.path().join("tls.crt"), &ca).unwrap();
    assert!(matches!(look(&watched), Change::Renewed(_)));
    assert_eq!(watched.current().ticketer.decrypt(&sealed), None);
}
