//! One order, from the account to the certificate.

use std::sync::Arc;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, KeyAuthorization, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::sign::CertifiedKey;
use tokio::task::spawn_blocking;

use super::client::Https;
use super::store::{self, Certificate};
use super::{AcmeConfig, Proofs, certified};

/// What went wrong, as text for the log. It holds no secret.
pub(super) type Problem = String;

/// Orders a certificate, proves control of its names, and keeps what comes.
pub(super) async fn issue(config: &AcmeConfig, proofs: &Arc<Proofs>) -> Result<Certificate, Problem> {
    let account = account(config).await?;
    let pem = order(config, &account, proofs).await;
    proofs.clear();
    let pem = pem?;
    let certificate = Certificate::read(pem.as_bytes()).map_err(told)?;
    let config = config.clone();
    let saved = spawn_blocking(move || store::save_certificate(&config, pem.as_bytes())).await;
    match saved {
        Ok(Ok(())) => {}
        // It can be used all the same; only a restart will have to ask again.
        Ok(Err(problem)) => tracing::warn!(%problem, "the new certificate could not be kept"),
        Err(problem) => tracing::warn!(%problem, "the new certificate could not be kept"),
    }
    Ok(certificate)
}

fn told(problem: impl std::fmt::Display) -> Problem {
    problem.to_string()
}

/// The account of an earlier run, or a new one.
async fn account(config: &AcmeConfig) -> Result<Account, Problem> {
    let https = Https::new(config.directory_root.as_deref()).map_err(told)?;
    let builder = Account::builder_with_http(Box::new(https));
    if let Some(known) = store::load_account(config).map_err(told)? {
        return builder.from_credentials(known).await.map_err(told);
    }
    let contact: Vec<_> = config.contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: config.terms_agreed,
        only_return_existing: false,
    };
    let made = builder.create(&new, config.directory.clone(), None).await;
    let (account, credentials) = made.map_err(told)?;
    store::save_account(config, &credentials).map_err(told)?;
    Ok(account)
}

/// The certificate's key and its chain, in one PEM.
async fn order(config: &AcmeConfig, account: &Account, proofs: &Proofs) -> Result<String, Problem> {
    let names: Vec<_> = config.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(told)?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(told)?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => return Err(format!("the authority says that a name is {other:?}")),
        }
        let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
        let mut challenge = challenge.ok_or("the authority does not offer tls-alpn-01")?;
        let domain = challenge.identifier().to_string();
        proofs.insert(&domain, proof(&domain, &challenge.key_authorization())?);
        challenge.set_ready().await.map_err(told)?;
    }
    let patience = RetryPolicy::default();
    match order.poll_ready(&patience).await.map_err(told)? {
        OrderStatus::Ready => {}
        other => return Err(refusal(&mut order, other).await),
    }
    let key = order.finalize().await.map_err(told)?;
    let chain = order.poll_certificate(&patience).await.map_err(told)?;
    Ok(format!("{key}{chain}"))
}

/// Why an order failed: the authority says it with the name that it could not check.
async fn refusal(order: &mut instant_acme::Order, status: OrderStatus) -> Problem {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return format!("{}: {problem}", state.identifier());
        }
    }
    format!("the order is {status:?}")
}

/// A certificate for `domain` that only the holder of the account can make (RFC 8737, 3).
fn proof(domain: &str, authorization: &KeyAuthorization) -> Result<CertifiedKey, Problem> {
    let mut params = CertificateParams::new([domain.to_owned()]).map_err(told)?;
    let digest = authorization.digest();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(told)?;
    let certificate = params.self_signed(&key).map_err(told)?;
    certified(format!("{}{}", key.serialize_pem(), certificate.pem()).as_bytes()).map_err(told)
}
