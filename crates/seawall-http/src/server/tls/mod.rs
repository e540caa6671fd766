//! TLS, by rustls; nothing of it shows in the public interface.

mod info;

#[expect(unused_imports, reason = "for the detection of the protocol")]
pub(crate) use info::Protocol;
pub use info::{ClientCertificate, TlsInfo, TlsVersion};
