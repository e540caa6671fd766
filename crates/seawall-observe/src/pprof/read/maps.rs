//! `/proc/self/maps`: which piece of which file is executable, and where.

/// An executable piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
    pub(crate) file: String,
}

/// Areas that may hold instructions, in the order of their addresses. `text` is of this shape:
///
/// `55d0c4a00000-55d0c4b00000 r-xp 00001000 08:01 1234    /usr/bin/service`
pub(crate) fn executable(text: &str) -> Vec<Area> {
    text.lines().filter_map(area).collect()
}

fn area(line: &str) -> Option<Area> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let executable = fields.next()?.as_bytes().get(2) == Some(&b'x');
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, end, offset) = (hex(start)?, hex(end)?, hex(fields.next()?)?);
    let file = fields.nth(2).unwrap_or_default().trim();
    // A program that was replaced while it runs; it is still there under /proc/self/exe.
    let file = file.strip_suffix(" (deleted)").unwrap_or(file).to_owned();
    executable.then_some(Area { start, end, offset, file })
}

/// The area that `address` is in.
pub(crate) fn find(areas: &[Area], address: u64) -> Option<usize> {
    let at = areas.partition_point(|area| area.end <= address);
    (areas.get(at)?.start <= address).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c4a00000-55d0c4b00000 r--p 00000000 08:01 1234                       /srv/my service
55d0c4b00000-55d0c4d00000 r-xp 00100000 08:01 1234                       /srv/my service
7f0000000000-7f0000021000 rw-p 00000000 00:00 0 
7f1000000000-7f1000100000 r-xp 00026000 08:01 77                         /lib/libc.so.6 (deleted)
7f2000000000-7f2000001000 rwxp 00000000 00:00 0 
7fff00000000-7fff00002000 r-xp 00000000 00:00 0                          [vdso]
nonsense
";

    #[test]
    fn only_what_can_be_executed_is_listed() {
        let files: Vec<_> = executable(MAPS).into_iter().map(|area| area.file).collect();
        assert_eq!(files, ["/srv/my service", "/lib/libc.so.6", "", "[vdso]"]);
    }
    #[test]
    fn an_area_has_its_range_and_its_place_in_the_file() {
        let expected = Area {
            start: 0x55d0_c4b0_0000,
            end: 0x55d0_c4d0_0000,
            offset: 0x10_0000,
            file: "/srv/my service".to_owned(),
        };
        assert_eq!(executable(MAPS)[0], expected);
    }
    #[test]
    fn an_address_is_found_from_its_start_up_to_before_its_end() {
        let areas = executable(MAPS);
        assert_eq!(find(&areas, 0x55d0_c4b0_0000), Some(0));
        assert_eq!(find(&areas, 0x55d0_c4cf_ffff), Some(0));
        assert_eq!(find(&areas, 0x55d0_c4d0_0000), None);
        assert_eq!(find(&areas, 0x7fff_0000_0001), Some(3));
        assert_eq!(find(&areas, u64::MAX), None);
    }
}
