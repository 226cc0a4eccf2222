//! Each way in which a file cannot be used is told by its key, its name and what to do, and no key is ever shown.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use foreshift_tls::{Error, listener};
use foreshift_wire::{ClientAuth, ListenerCertificate, Protocol};
use rcgen::{CertificateParams, KeyPair};

fn pair(folder: &Path, name: &str) -> ListenerCertificate {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    let files = ListenerCertificate {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
        client_ca: None,
        client_auth: ClientAuth::Required,
    };
    fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

fn error(certificates: &[ListenerCertificate]) -> Error {
    listener(certificates, Protocol::Http, SystemTime::now()).unwrap_err()
}

#[test]
fn what_is_no_certificate_or_no_key_is_told_by_its_key_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = pair(folder.path(), "good");
    let other = pair(folder.path(), "other");
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let key_text = fs::read_to_string(&good.key).unwrap();
    let damaged = key_text.replacen("MIG", "!!!", 1);
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, at, says) in [
        (
            folder.path().join("none.pem"),
            good.key.clone(),
            "tls.certificate",
            "none.pem: cannot be read",
        ),
        (
            good.certificate.clone(),
            folder.path().join("none.key"),
            "tls.key",
            "none.key: cannot be read",
        ),
        (
            folder.path().to_owned(),
            good.key.clone(),
            "tls.certificate",
            "cannot be read",
        ),
        (
            file("empty", " \n"),
            good.key.clone(),
            "tls.certificate",
            "is empty",
        ),
        (
            good.certificate.clone(),
            file("empty.key", ""),
            "tls.key",
            "is empty",
        ),
        (
            good.key.clone(),
            good.key.clone(),
            "tls.certificate",
            "holds no certificate",
        ),
        (
            good.certificate.clone(),
            good.certificate.clone(),
            "tls.key",
            "holds no private key",
        ),
        (
            file("junk", junk),
            good.key.clone(),
            "tls.certificate",
            "it is no X.509 certificate",
        ),
        (
            good.certificate.clone(),
            file("enc.key", encrypted),
            "tls.key",
            "is encrypted",
        ),
        (
            good.certificate.clone(),
            file("damaged.key", &damaged),
            "tls.key",
            "is no PEM file",
        ),
        (
            good.certificate.clone(),
            other.key.clone(),
            "tls.key",
            "is not the private key of",
        ),
    ] {
        let error = error(&[ListenerCertificate {
            certificate,
            key,
            ..good.clone()
        }]);
        assert!(
            error.key == at && error.to_string().contains(says),
            "{says}: {} {error}",
            error.key
        );
        for line in key_text.lines().filter(|l| !l.starts_with("-----")) {
            assert!(!format!("{error} {error:?}").contains(line), "{says}");
        }
    }
    assert!(listener(std::slice::from_ref(&good), Protocol::Http, SystemTime::now()).is_ok());
    let broken = ListenerCertificate {
        key: good.key.clone(),
        ..other
    };
    assert_eq!(error(&[good, broken]).key, "tls[1].key");
}

#[test]
fn a_certificate_out_of_time_is_refused_and_one_that_soon_is_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2030, 1, 1);
    params.not_after = rcgen::date_time_ymd(2031, 1, 1);
    let files = pair(folder.path(), "a");
    fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    let files = [files];
    let at = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000 + day * 86_400);
    let warning = |day| {
        listener(&files, Protocol::Http, at(day))
            .map(|o| o.warnings.into_iter().map(|w| w.message).collect::<String>())
    };
    assert_eq!(warning(100).unwrap(), "");
    assert!(warning(355).unwrap().contains("expires on 2031-01-01"));
    let error = warning(366).unwrap_err().to_string();
    assert!(error.contains("expired on 2031-01-01 00:00 UTC"), "{error}");
    let early = listener(&files, Protocol::Http, SystemTime::UNIX_EPOCH)
        .unwrap()
        .warnings;
    assert!(early[0].message.contains("begins on 2030-01-01"), "{early:?}");
}
