//! The three compressors behind one face. All of them write into memory, so that none can fail for want of a disk.

use std::io::{self, Write as _};

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Coding, Levels};

/// Log2 of the window that brotli and zstd look back over, in streams: 512 KiB. More costs memory per answer.
const WINDOW: u32 = 19;

pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Br(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// `length` is that of the whole body, if it is known: a small one needs a small window.
    pub(super) fn new(coding: Coding, levels: Levels, length: Option<usize>) -> io::Result<Self> {
        let needed = length.map_or(WINDOW, |length| usize::BITS - length.leading_zeros()).clamp(10, WINDOW);
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(levels.gzip))),
            Coding::Br => Self::Br(Box::new(CompressorWriter::new(Vec::new(), 4096, levels.br, needed))),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), levels.zstd)?;
                encoder.window_log(needed)?;
                encoder.set_pledged_src_size(length.map(|length| length as u64))?;
                Self::Zstd(encoder)
            }
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Br(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// Makes everything so far readable for the client, at a few bytes' cost.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Br(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    fn made(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Br(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }
    /// Bytes that wait to be taken.
    pub(super) fn ready(&mut self) -> usize {
        self.made().len()
    }
    /// What has been made since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.made())
    }

    /// The end, with what was not taken yet.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Br(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
