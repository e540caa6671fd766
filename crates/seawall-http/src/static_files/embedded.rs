//! Files that were compiled into the program.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use seawall_core::ConfigError;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::path::wanted;
use super::{only_reads, rest, with_slash};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{AnyHandler, Endpoint, Handler};
use crate::respond::{File, Response};

/// How files of the program are served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// The file that stands for a folder; empty for none. Default `index.html`.
    pub index: String,
    /// The file that is answered for a path that has none, unless its last part has a dot. Empty for none, which is the
    /// default.
    pub spa: String,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { index: "index.html".to_owned(), spa: String::new() }
    }
}

/// Files of the program as a handler, with tags (of their SHA-256), conditions and ranges as those of a folder. Paths are
/// read as by [`Static`](super::Static). Hidden names are served, because somebody put them there one by one.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::static_files::{Embedded, EmbeddedConfig};
///
/// let files = [("index.html", "<h1>hello</h1>".as_bytes()), ("css/a.css", b"h1 { color: red }")];
/// let app = App::new().fallback(Embedded::new(files, &EmbeddedConfig::default())?);
/// # Ok::<(), seawall_http::Error>(())
/// ```
///
/// `include_bytes!` gives such slices; rust-embed's `Assets::iter().map(|name| (name, Assets::get(&name).unwrap().data))`
/// fits as well.
#[derive(Clone)]
pub struct Embedded(Arc<Files>);

struct Files {
    files: HashMap<String, Entry>,
    index: String,
    spa: String,
}

struct Entry {
    bytes: Bytes,
    tag: String,
}

impl Embedded {
    /// Takes the files, and hashes each once.
    ///
    /// # Errors
    /// For a name that no request could ask for (`/a`, `a//b`, `../a`), and for an index or a `spa` that is not there.
    pub fn new<N, B>(
        files: impl IntoIterator<Item = (N, B)>,
        config: &EmbeddedConfig,
    ) -> Result<Self, ConfigError>
    where
        N: Into<String>,
        B: Into<Cow<'static, [u8]>>,
    {
        let EmbeddedConfig { index, spa } = config.clone();
        let mut known = HashMap::new();
        for (name, bytes) in files {
            let name = name.into();
            // A name is written plainly here, so a percent sign in it is one.
            let plain = name.replace('%', "%25");
            if wanted(&plain, true).is_none_or(|wanted| wanted.folder) {
                return Err(ConfigError::new("embedded.files", name, "a path such as `css/a.css`"));
            }
            let bytes = match bytes.into() {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            let hash = Sha256::digest(&bytes);
            let half = u128::from_be_bytes(hash[..16].try_into().expect("SHA-256 has 32 bytes"));
            known.insert(name, Entry { bytes, tag: format!("{half:032x}") });
        }
        if !spa.is_empty() && !known.contains_key(&spa) {
            return Err(ConfigError::new("embedded.spa", spa, "one of the files"));
        }
        Ok(Self(Arc::new(Files { files: known, index, spa })))
    }

    fn answer(&self, c: &Context) -> Result<Response> {
        only_reads(c)?;
        let Files { files, index, spa } = &*self.0;
        let wanted = wanted(rest(c), true).ok_or_else(|| Error::not_found("Not Found"))?;
        let path = wanted.names.join("/");
        let index_of = |path: &str| if path.is_empty() { index.clone() } else { format!("{path}/{index}") };
        let mut name = if wanted.folder { index_of(&path) } else { path };
        if !files.contains_key(&name) {
            if !wanted.folder && files.contains_key(&index_of(&name)) {
                return with_slash(c);
            }
            if wanted.names.last().is_none_or(|name| !name.contains('.')) {
                name.clone_from(spa);
            }
        }
        let Entry { bytes, tag } = files.get(&name).ok_or_else(|| Error::not_found("Not Found"))?;
        File::embedded(bytes.clone(), &name, tag)?.answer(c)
    }
}

impl AnyHandler for Embedded {
    fn call(&self, c: Context) -> BoxFuture<'_, Result<Response>> {
        Box::pin(std::future::ready(self.answer(&c)))
    }
}

#[diagnostic::do_not_recommend]
impl Handler<Embedded> for Embedded {
    fn into_endpoint(self) -> Endpoint {
        Endpoint::new(self)
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedded({} files)", self.0.files.len())
    }
}
