//! The few facts of an ELF file that a profile needs: where its segments want to lie, and its build id.
//!
//! 64-bit little-endian files only, which is what this crate profiles. Anything that does not add up is no fact.

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Elf {
    segments: Vec<Segment>,
    /// In hexadecimal; empty if there is none.
    pub(crate) build_id: String,
}

/// A piece of the file that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    offset: u64,
    address: u64,
    size: u64,
}

/// Program headers of one file; no linker writes as many.
const MOST_HEADERS: u64 = 256;
const LOAD: u32 = 1;
const NOTE: u32 = 4;
const BUILD_ID: u32 = 3;

/// Takes apart the beginning of a file. Notes lie there, right behind the headers.
pub(crate) fn parse(file: &[u8]) -> Option<Elf> {
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, number) =
        (u64_at(file, 32)?, u64::from(u16_at(file, 54)?), u64::from(u16_at(file, 56)?));
    let mut elf = Elf::default();
    for index in 0..number.min(MOST_HEADERS) {
        let at = usize::try_from(table.checked_add(index * size)?).ok()?;
        let header = file.get(at..at.checked_add(usize::try_from(size).ok()?)?)?;
        let (offset, address) = (u64_at(header, 8)?, u64_at(header, 16)?);
        let size = u64_at(header, 32)?;
        match u32_at(header, 0)? {
            LOAD => elf.segments.push(Segment { offset, address, size }),
            NOTE if elf.build_id.is_empty() => {
                elf.build_id = notes(file, offset, size).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(elf)
}

/// A note is the lengths of its owner and of its content, its kind, then both, each padded to four bytes.
fn notes(file: &[u8], offset: u64, size: u64) -> Option<String> {
    let begin = usize::try_from(offset).ok()?;
    let mut rest = file.get(begin..begin.checked_add(usize::try_from(size).ok()?)?)?;
    while rest.len() >= 12 {
        let (owner, content) = (u32_at(rest, 0)? as usize, u32_at(rest, 4)? as usize);
        let kind = u32_at(rest, 8)?;
        let begin = 12 + owner.checked_next_multiple_of(4)?;
        let bytes = rest.get(begin..begin.checked_add(content)?)?;
        if kind == BUILD_ID && rest.get(12..16) == Some(b"GNU\0") {
            return Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        rest = rest.get(begin + content.checked_next_multiple_of(4)?..)?;
    }
    None
}

impl Elf {
    /// The address that the linker gave to what lies at `offset` in the file.
    pub(crate) fn linked_at(&self, offset: u64) -> Option<u64> {
        let within = |segment: &&Segment| (segment.offset..segment.offset + segment.size).contains(&offset);
        let segment = self.segments.iter().find(within)?;
        Some(offset - segment.offset + segment.address)
    }
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}
fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    bytes(file, at).map(u16::from_le_bytes)
}
fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    bytes(file, at).map(u32::from_le_bytes)
}
fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    bytes(file, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one segment and one note, as a linker would write them.
    fn file() -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&2_u16.to_le_bytes());
        for (kind, offset, address, size) in [(LOAD, 0x1000, 0x3000, 0x500), (NOTE, 176, 176, 20)] {
            let mut header = [0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&u64::to_le_bytes(offset));
            header[16..24].copy_from_slice(&u64::to_le_bytes(address));
            header[32..40].copy_from_slice(&u64::to_le_bytes(size));
            file.extend(header);
        }
        for word in [4_u32, 3, BUILD_ID] {
            file.extend(word.to_le_bytes());
        }
        file.extend(b"GNU\0\xab\xcd\x01\0");
        file
    }

    #[test]
    fn an_offset_is_where_its_segment_was_linked() {
        let elf = parse(&file()).unwrap();
        assert_eq!(elf.linked_at(0x1010), Some(0x3010));
        assert_eq!(elf.linked_at(0x0fff), None);
        assert_eq!(elf.linked_at(0x1500), None);
    }
    #[test]
    fn the_build_id_is_read() {
        let mut file = file();
        file[176 + 4..176 + 8].copy_from_slice(&3_u32.to_le_bytes());
        assert_eq!(parse(&file).unwrap().build_id, "abcd01");
    }
    #[test]
    fn what_is_cut_off_or_none_is_no_file() {
        assert_eq!(parse(b"#!/bin/sh"), None);
        for length in 0..176 {
            assert_eq!(parse(&file()[..length]), None, "{length}");
        }
    }
    #[test]
    fn this_program_is_one() {
        let elf = parse(&std::fs::read("/proc/self/exe").unwrap()).unwrap();
        assert!(!elf.segments.is_empty());
    }
}
