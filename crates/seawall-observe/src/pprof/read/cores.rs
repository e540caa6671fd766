//! Lists of processor cores as the kernel writes them: `0-3,8`.

/// The numbers in a list; those that are none are left out, and no more than `most` are read.
pub(crate) fn parse(list: &str, most: usize) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_numbers_are_a_list() {
        assert_eq!(parse("0-2,8\n", 9), [0, 1, 2, 8]);
        assert_eq!(parse("0\n", 9), [0]);
    }

    #[test]
    fn nonsense_is_left_out_and_there_is_a_bound() {
        assert_eq!(parse("x,3-y,,4", 9), [4]);
        assert!(parse("", 9).is_empty());
        assert_eq!(parse("0-4294967295", 3), [0, 1, 2]);
    }
}
