//! The records that `perf_event_open` leaves in its ring, taken apart.
//!
//! All events are opened with the same layout: instruction, process and thread, time, call chain; records that are no
//! samples carry thread and time at their end. Words are the machine's own.

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A sample was taken.
    Sample {
        thread: u32,
        /// Nanoseconds of the kernel's monotonic clock.
        time: u64,
        /// Innermost first, the kernel's before the program's; as [`Key`](super::super::stacks::Key) wants them.
        addresses: Vec<u64>,
        /// How many of them are the program's.
        user: usize,
        /// The stack pointer and the words from there on, where the event was opened with them.
        stack: Option<(u64, Vec<u64>)>,
    },
    /// A thread was put on a core, or taken off it.
    Switch { thread: u32, time: u64, out: bool },
    /// Samples that did not fit into the ring.
    Lost(u64),
    /// Something that is none of our business.
    Other,
}

const LOST: u32 = 2;
const SAMPLE: u32 = 9;
const SWITCH: u32 = 14;
/// In the header's `misc`: the thread leaves the core.
const SWITCH_OUT: u16 = 1 << 13;
/// Call-chain words above this are marks, not addresses.
const MARKS: u64 = (-4095_i64).cast_unsigned();
/// What follows is the program's.
const MARK_USER: u64 = (-512_i64).cast_unsigned();
const MARK_KERNEL: u64 = (-128_i64).cast_unsigned();

/// The length of a record's header.
pub(crate) const HEADER: usize = 8;

/// The length of the record that begins with `header`, itself included.
pub(crate) fn length(header: [u8; HEADER]) -> usize {
    usize::from(u16::from_ne_bytes([header[6], header[7]]))
}

/// Takes a whole record apart. What is too short for its kind is [`Record::Other`].
pub(crate) fn parse(record: &[u8]) -> Record {
    parse_known(record).unwrap_or(Record::Other)
}

fn parse_known(record: &[u8]) -> Option<Record> {
    let kind = u32::from_ne_bytes(record.get(..4)?.try_into().ok()?);
    let misc = u16::from_ne_bytes(record.get(4..6)?.try_into().ok()?);
    let words: Vec<u64> =
        record.get(HEADER..)?.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    match kind {
        SAMPLE => {
            let [_instruction, ids, time, number, chain @ ..] = words.as_slice() else { return None };
            let (chain, rest) = chain.split_at_checked(usize::try_from(*number).ok()?)?;
            let (addresses, user) = addresses(chain);
            Some(Record::Sample { thread: thread(*ids), time: *time, addresses, user, stack: stack(rest) })
        }
        SWITCH => {
            let [ids, time, ..] = words.as_slice() else { return None };
            Some(Record::Switch { thread: thread(*ids), time: *time, out: misc & SWITCH_OUT != 0 })
        }
        LOST => Some(Record::Lost(*words.get(1)?)),
        _ => None,
    }
}

/// Process and thread share a word, in this order.
fn thread(ids: u64) -> u32 {
    let bytes = ids.to_ne_bytes();
    u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
}

/// Behind the chain: the kind of registers (0 for none), the stack pointer, the size of the copied stack, its words, and
/// how many bytes of them are real.
fn stack(rest: &[u64]) -> Option<(u64, Vec<u64>)> {
    let [kind, pointer, size, rest @ ..] = rest else { return None };
    if *kind == 0 {
        return None;
    }
    let (words, rest) = rest.split_at_checked(usize::try_from(*size).ok()? / 8)?;
    let real = usize::try_from(*rest.first()?).ok()? / 8;
    Some((*pointer, words.get(..real)?.to_vec()))
}

/// The first address behind a mark is where the processor was; all others are where calls return to, so the call is
/// one before. With the number of the program's own.
fn addresses(chain: &[u64]) -> (Vec<u64>, usize) {
    let (mut exact, mut is_user, mut user) = (true, false, 0);
    let mut found = Vec::with_capacity(chain.len());
    for word in chain {
        if *word >= MARKS {
            exact = matches!(*word, MARK_USER | MARK_KERNEL);
            is_user = *word == MARK_USER;
            continue;
        }
        found.push(if exact { *word } else { word.saturating_sub(1) });
        user += usize::from(is_user);
        exact = false;
    }
    (found, user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, misc: u16, words: &[u64]) -> Vec<u8> {
        let mut record = kind.to_ne_bytes().to_vec();
        record.extend(misc.to_ne_bytes());
        record.extend((HEADER as u16 + 8 * words.len() as u16).to_ne_bytes());
        record.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        record
    }

    fn ids(process: u32, thread: u32) -> u64 {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&process.to_ne_bytes());
        bytes[4..].copy_from_slice(&thread.to_ne_bytes());
        u64::from_ne_bytes(bytes)
    }

    #[test]
    fn a_sample_has_the_kernels_addresses_before_the_programs() {
        let kernel = 0xffff_ffff_8100_0000;
        let words = [kernel, ids(7, 8), 99, 6, MARK_KERNEL, kernel, kernel + 9, MARK_USER, 0x5000, 0x6000];
        let addresses = vec![kernel, kernel + 8, 0x5000, 0x5fff];
        let expected = Record::Sample { thread: 8, time: 99, addresses, user: 2, stack: None };
        assert_eq!(parse(&record(SAMPLE, 0, &words)), expected);
    }
    #[test]
    fn a_copied_stack_ends_where_the_real_one_does() {
        let words = [1, ids(7, 8), 99, 2, MARK_USER, 0x5000, 2, 0x7000, 32, 11, 12, 13, 14, 16];
        let stack = Some((0x7000, vec![11, 12]));
        let expected = Record::Sample { thread: 8, time: 99, addresses: vec![0x5000], user: 1, stack };
        assert_eq!(parse(&record(SAMPLE, 0, &words)), expected);
    }
    #[test]
    fn a_sample_without_stack_is_still_one() {
        let expected = Record::Sample { thread: 8, time: 99, addresses: vec![], user: 0, stack: None };
        assert_eq!(parse(&record(SAMPLE, 0, &[1, ids(7, 8), 99, 0])), expected);
    }
    #[test]
    fn switches_say_in_which_direction() {
        let switch = |misc| parse(&record(SWITCH, misc, &[ids(7, 8), 5]));
        assert_eq!(switch(SWITCH_OUT), Record::Switch { thread: 8, time: 5, out: true });
        assert_eq!(switch(0), Record::Switch { thread: 8, time: 5, out: false });
    }
    #[test]
    fn losses_are_counted() {
        assert_eq!(parse(&record(LOST, 0, &[1, 17])), Record::Lost(17));
    }
    #[test]
    fn a_chain_that_is_longer_than_its_record_is_no_sample() {
        assert_eq!(parse(&record(SAMPLE, 0, &[1, ids(7, 8), 99, 2, 0x5000])), Record::Other);
        assert_eq!(parse(&record(SAMPLE, 0, &[1, ids(7, 8), 99, u64::MAX])), Record::Other);
    }
    #[test]
    fn anything_else_is_skipped() {
        assert_eq!(parse(&record(1, 0, &[1, 2, 3])), Record::Other);
        assert_eq!(parse(&[]), Record::Other);
        let whole = record(SAMPLE, 0, &[1, ids(7, 8), 99, 1, 0x5000]);
        assert_eq!(length(whole[..HEADER].try_into().unwrap()), whole.len());
    }
}
