//! How much a multipart body may have of everything.

use std::path::PathBuf;
use std::sync::Arc;

use seawall_core::ConfigError;
use serde::Deserialize;

use crate::context::Context;
use crate::error::Result;
use crate::middleware::{Middleware, Next, Step, before};
use crate::respond::Response;

/// Limits of [`Multipart`](super::Multipart) and [`MultipartForm`](super::MultipartForm). Sizes are in bytes.
///
/// The most that one request can hold in memory is `text_bytes + parts * memory_bytes`, next to a few pieces of the
/// body; on disk it is the whole body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultipartConfig {
    /// The whole body, in place of the body limit, at least 1. Default none: the body limit counts, 2 MiB if nobody
    /// changed it.
    pub total_bytes: Option<usize>,
    /// Contents of one part, at least 1. Default 16 MiB.
    pub part_bytes: usize,
    /// How many parts there may be, 1 to 10,000. Default 100.
    pub parts: usize,
    /// Headers of one part, 64 to 65,536. Default 8 KiB.
    pub head_bytes: usize,
    /// The name of a file, 1 to 4,096. Default 255.
    pub file_name_bytes: usize,
    /// All fields that are no files, together, where a form is collected. Default 256 KiB.
    pub text_bytes: usize,
    /// What a collected form keeps of each file in memory, at most 16 MiB; a larger file goes to disk, all of it.
    /// Default 64 KiB.
    pub memory_bytes: usize,
    /// Where files on disk go. Default none: where the system has its temporary files.
    pub temp_dir: Option<PathBuf>,
}

impl Default for MultipartConfig {
    fn default() -> Self {
        Self {
            total_bytes: None,
            part_bytes: 16 << 20,
            parts: 100,
            head_bytes: 8 << 10,
            file_name_bytes: 255,
            text_bytes: 256 << 10,
            memory_bytes: 64 << 10,
            temp_dir: None,
        }
    }
}

/// Other limits for the multipart bodies of a route or group: `upload.with(MultipartLimits::new(&config)?)`. The
/// innermost count.
#[derive(Debug, Clone)]
pub struct MultipartLimits(Arc<MultipartConfig>);

impl MultipartLimits {
    /// Checks them.
    ///
    /// # Errors
    /// Names the limit that is out of its range.
    pub fn new(config: &MultipartConfig) -> Result<Self, ConfigError> {
        let MultipartConfig {
            total_bytes,
            part_bytes,
            parts,
            head_bytes,
            file_name_bytes,
            text_bytes: _, // none is allowed too: then there are only files
            memory_bytes,
            temp_dir: _, // may come to be later
        } = config;
        if *total_bytes == Some(0) {
            return Err(ConfigError::new("multipart.total_bytes", 0, "at least 1"));
        }
        let ranges = [
            ("multipart.part_bytes", *part_bytes, 1, usize::MAX),
            ("multipart.parts", *parts, 1, 10_000),
            ("multipart.head_bytes", *head_bytes, 64, 64 << 10),
            ("multipart.file_name_bytes", *file_name_bytes, 1, 4 << 10),
            ("multipart.memory_bytes", *memory_bytes, 0, 16 << 20),
        ];
        match ranges.into_iter().find(|(_, value, least, most)| value < least || value > most) {
            None => Ok(Self(Arc::new(config.clone()))),
            Some((field, value, least, usize::MAX)) => {
                Err(ConfigError::new(field, value, format_args!("at least {least}")))
            }
            Some((field, value, least, most)) => {
                Err(ConfigError::new(field, value, format_args!("{least} to {most}")))
            }
        }
    }

    /// Those that count for this request.
    pub(super) fn of(c: &Context) -> Arc<MultipartConfig> {
        c.get::<Self>().map_or_else(Arc::default, |limits| Arc::clone(&limits.0))
    }
}

impl Middleware for MultipartLimits {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        c.set(self.clone());
        next.run(c).await
    }
    fn into_step(self) -> Step {
        before(move |c| {
            c.set(self.clone());
            Ok(None)
        })
        .into_step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(config: &MultipartConfig, expected: &str) {
        assert_eq!(MultipartLimits::new(config).unwrap_err().to_string(), expected);
    }

    #[test]
    fn the_default_is_allowed() {
        MultipartLimits::new(&MultipartConfig::default()).unwrap();
    }
    #[test]
    fn a_limit_out_of_its_range_is_named() {
        let default = MultipartConfig::default();
        refused(
            &MultipartConfig { total_bytes: Some(0), ..default.clone() },
            "`multipart.total_bytes` is 0, but must be at least 1",
        );
        refused(
            &MultipartConfig { part_bytes: 0, ..default.clone() },
            "`multipart.part_bytes` is 0, but must be at least 1",
        );
        refused(
            &MultipartConfig { parts: 10_001, ..default.clone() },
            "`multipart.parts` is 10001, but must be 1 to 10000",
        );
        refused(
            &MultipartConfig { head_bytes: 63, ..default.clone() },
            "`multipart.head_bytes` is 63, but must be 64 to 65536",
        );
        refused(
            &MultipartConfig { file_name_bytes: 0, ..default.clone() },
            "`multipart.file_name_bytes` is 0, but must be 1 to 4096",
        );
        refused(
            &MultipartConfig { memory_bytes: 1 << 30, ..default },
            "`multipart.memory_bytes` is 1073741824, but must be 0 to 16777216",
        );
    }
}
