//! `/proc/kallsyms`: the names of the kernel's functions, where its reader may see them.

/// The function of each address, in the order of `wanted`; `None` below the first function, and for all if the kernel
/// hides its addresses (it then shows zeros). `text` has lines of the shape `ffffffff81000000 T _text [module]`.
pub(crate) fn names(text: &str, wanted: &[u64]) -> Vec<Option<String>> {
    let mut functions: Vec<(u64, &str)> = text.lines().filter_map(function).collect();
    functions.sort_by_key(|(address, _)| *address); // stable: of several names for one address the first counts
    let name = |address: &u64| {
        let at = functions.partition_point(|(begin, _)| begin <= address).checked_sub(1)?;
        let begin = functions[at].0;
        let first = functions.partition_point(|(other, _)| *other < begin);
        Some(functions[first].1.to_owned())
    };
    wanted.iter().map(name).collect()
}

fn function(line: &str) -> Option<(u64, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let address = u64::from_str_radix(fields.next()?, 16).ok()?;
    let is_code = matches!(fields.next()?, "t" | "T" | "w" | "W");
    let name = fields.next()?;
    (is_code && address != 0).then_some((address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, address: u64, expected: Option<&str>) {
        assert_eq!(names(text, &[address]), [expected.map(str::to_owned)]);
    }

    const SYMBOLS: &str = "\
ffffffff81000000 T _stext
ffffffff81000000 T also_here
ffffffff81000100 D a_variable
ffffffff81000200 t tcp_sendmsg
ffffffffc0000000 t probe\t[a_module]
";

    #[test]
    fn an_address_belongs_to_the_function_that_begins_before_it() {
        check(SYMBOLS, 0xffff_ffff_8100_0210, Some("tcp_sendmsg"));
        check(SYMBOLS, 0xffff_ffff_8100_0200, Some("tcp_sendmsg"));
        check(SYMBOLS, 0xffff_ffff_c000_0001, Some("probe"));
    }
    #[test]
    fn of_two_names_the_first_counts() {
        check(SYMBOLS, 0xffff_ffff_8100_0004, Some("_stext"));
    }
    #[test]
    fn variables_are_no_functions() {
        check(SYMBOLS, 0xffff_ffff_8100_0104, Some("_stext"));
    }
    #[test]
    fn below_the_first_there_is_nothing() {
        check(SYMBOLS, 0xffff_ffff_8000_0000, None);
    }
    #[test]
    fn hidden_addresses_name_nothing() {
        check("0000000000000000 T _stext\n0000000000000000 t tcp_sendmsg\n", 0xffff_ffff_8100_0210, None);
    }
}
