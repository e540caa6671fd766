//! The header itself, versions 1 and 2, as HAProxy's `proxy-protocol.txt` describes them. Pure: bytes in, a verdict out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its end of line included.
pub(super) const MAX_V1: usize = 107;
/// What may follow the fixed part of a header of version 2: the largest addresses take 216 bytes, and no balancer's
/// extensions come near the rest.
pub(super) const MAX_V2: usize = 4096;
/// The fixed part of a header of version 2.
pub(super) const FIXED: usize = 16;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const CRC32C: u8 = 0x03;

/// What the beginning of a connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it may be part of a header, and more must come.
    More,
    /// A header of so many bytes.
    Header(usize, Announced),
    Bad(Fault),
}

/// Who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    /// The proxy itself, which looks whether we are well.
    Proxy,
    Client(SocketAddr),
    /// Somebody without an address: on a unix socket, or of a kind that the proxy does not know.
    Unknown,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NoHeader,
    Version1,
    Version2,
    TooLong,
    Checksum,
}

impl Fault {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NoHeader => "it does not begin with a PROXY header",
            Self::Version1 => "its PROXY header (version 1) is malformed",
            Self::Version2 => "its PROXY header (version 2) is malformed",
            Self::TooLong => "its PROXY header is too long",
            Self::Checksum => "its PROXY header is damaged: the checksum does not fit",
        }
    }
}

/// Reads a header from the beginning of what has come so far.
pub(super) fn parse(bytes: &[u8]) -> Verdict {
    let starts = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
    let verdict = match bytes.len() {
        _ if starts(SIGNATURE) => version_2(bytes),
        _ if starts(b"PROXY ") => version_1(bytes),
        _ => Err(Fault::NoHeader),
    };
    match verdict {
        Ok(Some((len, announced))) => Verdict::Header(len, announced),
        Ok(None) => Verdict::More,
        Err(fault) => Verdict::Bad(fault),
    }
}

type Read = Result<Option<(usize, Announced)>, Fault>;

fn version_1(bytes: &[u8]) -> Read {
    let Some(end) = memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_V1)]) else {
        return if bytes.len() >= MAX_V1 { Err(Fault::TooLong) } else { Ok(None) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(Fault::Version1)?;
    let line = std::str::from_utf8(line).map_err(|_| Fault::Version1)?;
    let announced = line_1(line).ok_or(Fault::Version1)?;
    Ok(Some((end + 1, announced)))
}

/// `PROXY TCP4 source destination port port`; fields are divided by one space each.
fn line_1(line: &str) -> Option<Announced> {
    let rest = line.strip_prefix("PROXY ")?;
    let (family, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut fields = rest.split(' ');
    let mut addresses: [Option<IpAddr>; 2] = [None; 2];
    match family {
        "UNKNOWN" => return Some(Announced::Unknown), // whatever follows is to be ignored
        "TCP4" => {
            for address in &mut addresses {
                *address = Some(fields.next()?.parse::<Ipv4Addr>().ok()?.into());
            }
        }
        "TCP6" => {
            for address in &mut addresses {
                *address = Some(fields.next()?.parse::<Ipv6Addr>().ok()?.into());
            }
        }
        _ => return None,
    }
    let source_port = port(fields.next()?)?;
    let _destination_port = port(fields.next()?)?;
    fields.next().is_none().then_some(Announced::Client(SocketAddr::new(addresses[0]?, source_port)))
}

/// Digits without a leading zero, 0 to 65535.
fn port(digits: &str) -> Option<u16> {
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

fn version_2(bytes: &[u8]) -> Read {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if fixed[12] >> 4 != 2 {
        return Err(Fault::Version2);
    }
    if len > MAX_V2 {
        return Err(Fault::TooLong);
    }
    let whole = FIXED + len;
    let Some(header) = bytes.get(..whole) else { return Ok(None) };
    let (announced, extensions) = addresses(fixed[12] & 15, fixed[13], &header[FIXED..])?;
    check_extensions(header, whole - extensions.len())?;
    Ok(Some((whole, announced)))
}

/// Who is announced, and what follows the addresses.
fn addresses(command: u8, family: u8, body: &[u8]) -> Result<(Announced, &[u8]), Fault> {
    let (announced, len) = match family {
        0x00 => (Announced::Unknown, 0),
        0x11 | 0x12 => {
            let (ip, rest) = body.split_first_chunk::<4>().ok_or(Fault::Version2)?;
            (client(Ipv4Addr::from_octets(*ip).into(), rest, 4)?, 12)
        }
        0x21 | 0x22 => {
            let (ip, rest) = body.split_first_chunk::<16>().ok_or(Fault::Version2)?;
            (client(Ipv6Addr::from_octets(*ip).into(), rest, 16)?, 36)
        }
        0x31 | 0x32 => (Announced::Unknown, 216),
        _ => return Err(Fault::Version2),
    };
    let extensions = body.get(len..).ok_or(Fault::Version2)?;
    match command {
        // The proxy's own connection; addresses, if any, are to be ignored.
        0 => Ok((Announced::Proxy, extensions)),
        1 => Ok((announced, extensions)),
        _ => Err(Fault::Version2),
    }
}

/// The source of a pair: behind its address come the destination's, its port, and the destination's port.
fn client(ip: IpAddr, rest: &[u8], destination: usize) -> Result<Announced, Fault> {
    let port = rest.get(destination..destination + 2).ok_or(Fault::Version2)?;
    Ok(Announced::Client(SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]]))))
}

/// Walks the extensions, which begin at `at`: they must be whole, and a checksum among them must fit.
fn check_extensions(header: &[u8], mut at: usize) -> Result<(), Fault> {
    while at < header.len() {
        let [kind, high, low] = *header[at..].first_chunk::<3>().ok_or(Fault::Version2)?;
        let value = at + 3..at + 3 + usize::from(u16::from_be_bytes([high, low]));
        let content = header.get(value.clone()).ok_or(Fault::Version2)?;
        if kind == CRC32C {
            let sum = content.try_into().map(u32::from_be_bytes).map_err(|_| Fault::Version2)?;
            let before = header[..value.start].iter();
            let zeros = [0; 4].iter();
            let after = header[value.end..].iter();
            if crc32c(before.chain(zeros).chain(after)) != sum {
                return Err(Fault::Checksum);
            }
        }
        at = value.end;
    }
    Ok(())
}

/// CRC-32C (RFC 3720, B.4), bit by bit: a header is short, and few have a checksum.
pub(super) fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
