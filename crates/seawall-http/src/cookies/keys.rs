//! Signed and private cookies. The cryptography is that of the `cookie` crate, which this file hides: HMAC-SHA256 for
//! signed ones, AES-256-GCM for private ones, with keys that HKDF derives from a secret.

use std::fmt;

use cookie::{CookieJar, Key};
use seawall_core::ConfigError;

use super::SetCookie;
use crate::context::Context;
use crate::error::Result;

/// Shorter secrets are no keys.
const MIN_SECRET: usize = 32;
/// Every key is tried, so that there is a bound to the work that a forged cookie causes.
const MAX_KEYS: usize = 8;

/// Secrets for signed and private cookies: the first one writes, all of them read. To change the secret, put the new
/// one in front, and take the old one away when the cookies that it wrote have expired.
///
/// Its `Debug` shows how many there are, and nothing of them.
#[derive(Clone)]
pub struct CookieKeys(Vec<Key>);

impl CookieKeys {
    /// Keys made of a secret of at least 32 random bytes.
    ///
    /// # Errors
    /// If the secret is shorter; the error does not show it.
    pub fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self(vec![key(secret)?]))
    }

    /// Another secret, whose cookies are read but not written. At most seven of them.
    ///
    /// # Errors
    /// If the secret is shorter than 32 bytes, or one too many.
    pub fn and_read(mut self, older: &[u8]) -> Result<Self, ConfigError> {
        if self.0.len() >= MAX_KEYS {
            return Err(ConfigError::new(
                "cookies.keys",
                self.0.len() + 1,
                format_args!("1 to {MAX_KEYS} keys"),
            ));
        }
        self.0.push(key(older)?);
        Ok(self)
    }

    /// `value` with its signature. The name is signed too: else a client could move a value from one cookie to another.
    pub(crate) fn sign(&self, name: &str, value: &str) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(&self.0[0]).add((name.to_owned(), bound(name, value)));
        let signed = jar.get(name).expect("it was just added").value();
        format!("{}{value}", &signed[..SIGNATURE])
    }
    pub(crate) fn verify(&self, name: &str, sent: &str) -> Option<String> {
        let (signature, value) = sent.split_at_checked(SIGNATURE)?;
        let cookie = cookie::Cookie::new(name.to_owned(), format!("{signature}{}", bound(name, value)));
        let jar = CookieJar::new();
        let known = |key: &Key| jar.signed(key).verify(cookie.clone());
        self.0.iter().find_map(known).map(|_| value.to_owned())
    }
    /// `value`, encrypted; the name is part of what is authenticated.
    pub(crate) fn seal(&self, name: &str, value: &str) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(&self.0[0]).add((name.to_owned(), value.to_owned()));
        jar.get(name).map(|cookie| cookie.value().to_owned()).expect("it was just added")
    }
    pub(crate) fn open(&self, name: &str, sent: &str) -> Option<String> {
        let cookie = cookie::Cookie::new(name.to_owned(), sent.to_owned());
        let jar = CookieJar::new();
        let opened = |key: &Key| jar.private(key).decrypt(cookie.clone());
        self.0.iter().find_map(opened).map(|cookie| cookie.value().to_owned())
    }
}

/// HMAC-SHA256 in base64.
const SIGNATURE: usize = 44;

/// What is signed. No name contains `=`, so that no two pairs read the same.
fn bound(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

fn key(secret: &[u8]) -> Result<Key, ConfigError> {
    if secret.len() < MIN_SECRET {
        let found = format_args!("{} bytes long", secret.len());
        return Err(ConfigError::new(
            "cookies.key",
            found,
            format_args!("at least {MIN_SECRET} random bytes"),
        ));
    }
    Ok(Key::derive_from(secret))
}

impl fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieKeys({} keys)", self.0.len())
    }
}

impl SetCookie {
    /// The cookie with a signature in front of its value: the client can read it, but not change it.
    /// [`Context::signed_cookie`] reads it.
    ///
    /// # Errors
    /// 500 if no [`App::cookie_keys`](crate::App::cookie_keys) gave a key.
    pub fn signed(mut self, c: &Context) -> Result<Self> {
        self.value = c.cookie_keys()?.sign(&self.name, &self.value).into();
        Ok(self)
    }
    /// The cookie with its value encrypted: the client can neither read nor change it, and the value may be any text.
    /// [`Context::private_cookie`] reads it.
    ///
    /// # Errors
    /// 500 if no [`App::cookie_keys`](crate::App::cookie_keys) gave a key.
    pub fn private(mut self, c: &Context) -> Result<Self> {
        self.value = c.cookie_keys()?.seal(&self.name, &self.value).into();
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(secret: u8) -> CookieKeys {
        CookieKeys::new(&[secret; 32]).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let keys = keys(1);
        assert_eq!(keys.verify("a", &keys.sign("a", "7")).as_deref(), Some("7"));
        assert_eq!(keys.open("a", &keys.seal("a", "any \u{e9}; text")).as_deref(), Some("any \u{e9}; text"));
    }
    #[test]
    fn a_value_belongs_to_its_name() {
        let keys = keys(1);
        assert_eq!(keys.verify("role", &keys.sign("name", "admin")), None);
        assert_eq!(keys.open("role", &keys.seal("name", "admin")), None);
        assert_eq!(keys.verify("a", &keys.sign("a=b", "c")), None);
    }
    #[test]
    fn signed_and_private_are_not_the_same() {
        let keys = keys(1);
        assert_eq!(keys.open("a", &keys.sign("a", "7")), None);
        assert_eq!(keys.verify("a", &keys.seal("a", "7")), None);
        assert!(!keys.seal("a", "hunter2").contains("hunter2"));
        assert_ne!(keys.seal("a", "7"), keys.seal("a", "7"), "each time with another nonce");
    }
    #[test]
    fn old_keys_read_and_the_new_one_writes() {
        let (old, new) = (keys(1), keys(2).and_read(&[1; 32]).unwrap());
        assert_eq!(new.verify("a", &old.sign("a", "7")).as_deref(), Some("7"));
        assert_eq!(new.open("a", &old.seal("a", "7")).as_deref(), Some("7"));
        assert_eq!(old.verify("a", &new.sign("a", "7")), None);
        assert_eq!(keys(2).open("a", &new.seal("a", "7")).as_deref(), Some("7"));
    }
    #[test]
    fn a_short_secret_and_too_many_are_refused() {
        let error = CookieKeys::new(b"hunter2hunter2").unwrap_err().to_string();
        assert_eq!(error, "`cookies.key` is 14 bytes long, but must be at least 32 random bytes");
        let mut all = keys(0);
        for n in 1..8 {
            all = all.and_read(&[n; 32]).unwrap();
        }
        assert!(all.clone().and_read(&[9; 32]).unwrap_err().to_string().contains("1 to 8 keys"));
        assert_eq!(format!("{all:?}"), "CookieKeys(8 keys)");
    }

    proptest! {
        #[test]
        fn whatever_is_changed_is_refused(value in "[!-+--:<-\\[\\]-~]{0,20}", at: prop::sample::Index, with in "[!-~]") {
            let keys = keys(1);
            for (written, read) in [
                (keys.sign("a", &value), CookieKeys::verify as fn(&CookieKeys, &str, &str) -> Option<String>),
                (keys.seal("a", &value), CookieKeys::open),
            ] {
                let mut forged = written.clone();
                let at = at.index(forged.len());
                forged.replace_range(at..=at, &with);
                if forged != written {
                    prop_assert_eq!(read(&keys, "a", &forged), None);
                }
            }
        }
        #[test]
        fn any_text_is_refused_without_a_panic(sent in ".{0,80}") {
            prop_assert_eq!(keys(1).verify("a", &sent), None);
            prop_assert_eq!(keys(1).open("a", &sent), None);
        }
    }
}
