//! The HTTP client towards an authority: bounded in time and size, on the same TLS as everything else.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Limited;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::time::timeout;

/// A request with its answer's head.
const REQUEST: Duration = Duration::from_secs(30);
/// More than a chain of certificates needs.
const MAX_ANSWER: usize = 256 << 10;

pub(super) struct Https(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl Https {
    /// Trusts the authority in this file, or those that the system trusts.
    pub(super) fn new(root: Option<&Path>) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        match root {
            Some(path) => {
                for root in CertificateDer::pem_file_iter(path)? {
                    roots.add(root?)?;
                }
            }
            None => {
                let (_, _unusable) =
                    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(
                "there is no authority to trust for the directory; on Debian, install ca-certificates".into(),
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let answer = self.0.request(request);
        Box::pin(async move {
            let late = |_| Error::Other(Box::new(io::Error::from(io::ErrorKind::TimedOut)));
            let answer = timeout(REQUEST, answer).await.map_err(late)?;
            let answer = answer.map_err(|problem| Error::Other(Box::new(problem)))?;
            Ok(answer.map(|body| Limited::new(body, MAX_ANSWER)).into())
        })
    }
}
