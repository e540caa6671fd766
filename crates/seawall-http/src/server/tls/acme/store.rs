//! What outlives a run: the account, and the certificate with its key. Files that their owner alone can read, replaced as
//! a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::AccountCredentials;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::TlsError;
use super::{AcmeConfig, certified};

const ACCOUNT: &str = "account.json";
const CERTIFICATE: &str = "certificate.pem";
/// Neither file comes near it.
const MAX_BYTES: u64 = 1 << 20;

/// A certificate, and when it is to be renewed.
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    renew_at: SystemTime,
}

impl Certificate {
    pub(super) fn read(pem: &[u8]) -> Result<Self, TlsError> {
        let key = certified(pem)?;
        key.keys_match().map_err(TlsError::new)?;
        let first = key.end_entity_cert().map_err(TlsError::new)?;
        let (_, parsed) = X509Certificate::from_der(first).map_err(TlsError::new)?;
        let validity = parsed.validity();
        let at = |time: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time).unwrap_or(0));
        let renew_at = renew_at(at(validity.not_before.timestamp()), at(validity.not_after.timestamp()));
        Ok(Self { key: Arc::new(key), renew_at })
    }

    /// How long until it is to be renewed; zero if it is time.
    pub(super) fn due_in(&self, now: SystemTime) -> Duration {
        self.renew_at.duration_since(now).unwrap_or(Duration::ZERO)
    }
}

/// When a third of a certificate's life is left.
fn renew_at(from: SystemTime, to: SystemTime) -> SystemTime {
    from + to.duration_since(from).unwrap_or(Duration::ZERO) * 2 / 3
}

/// The certificate of an earlier run, if there is one and it has the names that are wanted now.
pub(super) fn load(config: &AcmeConfig) -> io::Result<Option<Certificate>> {
    let Some(pem) = read(&config.folder.join(CERTIFICATE))? else { return Ok(None) };
    let found = Certificate::read(&pem);
    let usable = found.map_err(io::Error::other).and_then(|found| {
        let first = found.key.end_entity_cert().map_err(io::Error::other)?;
        let parsed = webpki::EndEntityCert::try_from(first).map_err(io::Error::other)?;
        let names: Vec<_> = parsed.valid_dns_names().collect();
        Ok(config.domains.iter().all(|domain| names.contains(&domain.as_str())).then_some(found))
    });
    Ok(usable.unwrap_or_else(|problem| {
        tracing::warn!(%problem, "the certificate that was kept cannot be used; another one is ordered");
        None
    }))
}

pub(super) fn save_certificate(config: &AcmeConfig, pem: &[u8]) -> io::Result<()> {
    write(&config.folder, CERTIFICATE, pem)
}

pub(super) fn load_account(config: &AcmeConfig) -> io::Result<Option<AccountCredentials>> {
    let Some(json) = read(&config.folder.join(ACCOUNT))? else { return Ok(None) };
    let kept: Kept = serde_json::from_slice(&json)?;
    // An account is one authority's: with another one, another is made.
    Ok((kept.directory == config.directory).then_some(kept.credentials))
}

pub(super) fn save_account(config: &AcmeConfig, credentials: &AccountCredentials) -> io::Result<()> {
    let kept = serde_json::json!({ "directory": config.directory, "credentials": credentials });
    write(&config.folder, ACCOUNT, kept.to_string().as_bytes())
}

#[derive(serde::Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    file.take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Whoever reads meanwhile sees the old content or the new one.
fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = folder.join(format!("{name}.new"));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn config(folder: &Path) -> AcmeConfig {
        AcmeConfig {
            domains: vec!["shop.test".to_owned()],
            folder: folder.join("a"),
            ..AcmeConfig::default()
        }
    }
    fn pem(name: &str) -> String {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem())
    }

    #[test]
    fn a_third_of_its_life_before_its_end_a_certificate_is_renewed() {
        let from = SystemTime::UNIX_EPOCH;
        let day = Duration::from_secs(86_400);
        assert_eq!(renew_at(from, from + 90 * day), from + 60 * day);
        assert_eq!(renew_at(from, from + 6 * day), from + 4 * day);
        assert_eq!(renew_at(from + day, from), from + day, "one that is never good is due at once");
    }

    #[test]
    fn what_is_kept_is_its_owners_alone_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        assert!(load(&config).unwrap().is_none());
        save_certificate(&config, pem("shop.test").as_bytes()).unwrap();
        save_certificate(&config, pem("shop.test").as_bytes()).unwrap();
        assert!(load(&config).unwrap().is_some());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&config.folder), 0o700);
        assert_eq!(mode(&config.folder.join(CERTIFICATE)), 0o600);
    }

    #[test]
    fn a_certificate_that_does_not_fit_any_more_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        save_certificate(&config, pem("other.test").as_bytes()).unwrap();
        assert!(load(&config).unwrap().is_none());
        save_certificate(&config, b"nonsense").unwrap();
        assert!(load(&config).unwrap().is_none());
    }
}
