//! Keys that mean the same in every process.

use std::fmt;
use std::hash::BuildHasher;

use seawall_core::ConfigError;
use siphasher::sip::SipHasher13;

/// Hashes keys with a secret that all processes share, so that they speak of the same key, and so that a client that
/// does not know it cannot choose keys that meet. Use it where a limit in one process would use `RandomState`.
///
/// What is hashed through a derived `Hash` depends on the type and on the processor's word and byte order: all
/// processes must run programs that agree on these.
#[derive(Clone)]
pub struct SharedKeys(SipHasher13);

impl SharedKeys {
    /// Keys under `secret`, of at least 16 bytes: those of all processes together are one key space. Longer ones are
    /// folded into 128 bits.
    ///
    /// # Errors
    /// If the secret is shorter. It is not repeated in the error.
    pub fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        if secret.len() < 16 {
            let found = format_args!("{} bytes", secret.len());
            return Err(ConfigError::new("shared_rates.secret", found, "at least 16 bytes"));
        }
        let fold = |which: u64| SipHasher13::new_with_keys(which, secret.len() as u64).hash(secret);
        Ok(Self(SipHasher13::new_with_keys(fold(1), fold(2))))
    }
}

impl BuildHasher for SharedKeys {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        self.0
    }
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKeys").finish_non_exhaustive()
    }
}
