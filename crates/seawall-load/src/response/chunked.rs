//! The chunked transfer coding, as a state machine of single steps.

use super::Broken;

/// Bytes of a chunk's size line, and of all trailer lines together, above which the answer is malformed.
const MAX_LINES: u32 = 16 * 1024;

/// Where in the coding the next byte belongs.
#[derive(Debug, Clone, Copy)]
enum At {
    /// In the hexadecimal size.
    Size {
        size: u64,
        digits: u32,
    },
    /// In what may follow the size: spaces or an extension.
    Extension {
        size: u64,
    },
    /// After the CR of the size line.
    SizeLf {
        size: u64,
    },
    /// In the data.
    Data {
        left: u64,
    },
    /// After the data: CR, then LF.
    DataCr,
    DataLf,
    /// In a trailer line; `empty` until its first byte, `colon` once there was one.
    Trailer {
        empty: bool,
        colon: bool,
    },
    /// After a trailer line's CR; `last` if the line was empty.
    TrailerLf {
        last: bool,
    },
}

/// Reads one chunked body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of the current size line, or of all trailers.
    line: u32,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { at: At::Size { size: 0, digits: 0 }, line: 0 }
    }
}

impl Chunked {
    /// Reads on; hands the data's pieces to `data`. Says how many bytes were used, and whether that was the end.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        mut data: impl FnMut(&[u8]) -> Result<(), Broken>,
    ) -> Result<(usize, bool), Broken> {
        let mut used = 0;
        while used < input.len() {
            if let At::Data { left } = &mut self.at {
                let piece = (*left).min((input.len() - used) as u64) as usize;
                *left -= piece as u64;
                if *left == 0 {
                    self.at = At::DataCr;
                }
                data(&input[used..used + piece])?;
                used += piece;
                continue;
            }
            self.line += 1;
            if self.line > MAX_LINES {
                return Err(Broken::Malformed);
            }
            let last = matches!(self.at, At::TrailerLf { last: true });
            self.at = self.step(input[used])?;
            used += 1;
            if last {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// One byte outside of the data.
    fn step(&mut self, byte: u8) -> Result<At, Broken> {
        Ok(match (self.at, byte) {
            (At::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = u64::from((byte as char).to_digit(16).unwrap_or_default());
                At::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (At::Size { size, digits: 1.. } | At::Extension { size }, b'\r') => At::SizeLf { size },
            (At::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => At::Extension { size },
            (At::Extension { size }, _) if byte != b'\n' => At::Extension { size },
            (At::SizeLf { size }, b'\n') => {
                self.line = 0;
                if size == 0 { At::Trailer { empty: true, colon: false } } else { At::Data { left: size } }
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => {
                self.line = 0;
                At::Size { size: 0, digits: 0 }
            }
            (At::Trailer { empty, colon }, b'\r') if empty || colon => At::TrailerLf { last: empty },
            (At::Trailer { colon, .. }, _) if byte != b'\r' && byte != b'\n' => {
                At::Trailer { empty: false, colon: colon || byte == b':' }
            }
            (At::TrailerLf { .. }, b'\n') => At::Trailer { empty: true, colon: false },
            _ => return Err(Broken::Malformed),
        })
    }
}
