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
        /// The stack pointer and the words from there on, where the event was opened with them and the chain has nothing of
        /// the program's but its innermost address.
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

/// Records are made of these.
type Word = [u8; 8];

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
    let words = record.get(HEADER..)?.as_chunks::<8>().0;
    match kind {
        SAMPLE => {
            let [_instruction, ids, time, number, chain @ ..] = words else { return None };
            let (chain, rest) = chain.split_at_checked(usize::try_from(word(number)).ok()?)?;
            let (addresses, user) = addresses(chain);
            let stack = if user == 1 { stack(rest) } else { None };
            Some(Record::Sample { thread: thread(ids), time: word(time), addresses, user, stack })
        }
        SWITCH => {
            let [ids, time, ..] = words else { return None };
            Some(Record::Switch { thread: thread(ids), time: word(time), out: misc & SWITCH_OUT != 0 })
        }
        LOST => Some(Record::Lost(word(words.get(1)?))),
        _ => None,
    }
}

/// Whether a record is a sample of another process, which an event of a whole core brings. Cheap: nothing is taken apart.
pub(crate) fn is_foreign(record: &[u8], own: u32) -> bool {
    let at = |from: usize| Some(u32::from_ne_bytes(record.get(from..from + 4)?.try_into().ok()?));
    at(0) == Some(SAMPLE) && at(HEADER + 8).is_some_and(|process| process != own)
}

fn word(bytes: &Word) -> u64 {
    u64::from_ne_bytes(*bytes)
}

/// Process and thread share a word, in this order.
fn thread(ids: &Word) -> u32 {
    u32::from_ne_bytes([ids[4], ids[5], ids[6], ids[7]])
}

/// Behind the chain: the kind of registers (0 for none), the stack pointer, the size of the copied stack, its words, and
/// how many bytes of them are real.
fn stack(rest: &[Word]) -> Option<(u64, Vec<u64>)> {
    let [kind, pointer, size, rest @ ..] = rest else { return None };
    if word(kind) == 0 {
        return None;
    }
    let (words, rest) = rest.split_at_checked(usize::try_from(word(size)).ok()? / 8)?;
    let real = usize::try_from(word(rest.first()?)).ok()? / 8;
    Some((word(pointer), words.get(..real)?.iter().map(word).collect()))
}

/// The first address behind a mark is where the processor was; all others are where calls return to, so the call is
/// one before. With the number of the program's own.
fn addresses(chain: &[Word]) -> (Vec<u64>, usize) {
    let (mut exact, mut is_user, mut user) = (true, false, 0);
    let mut found = Vec::with_capacity(chain.len());
    for word in chain.iter().map(word) {
        if word >= MARKS {
            exact = matches!(word, MARK_USER | MARK_KERNEL);
            is_user = word == MARK_USER;
            continue;
        }
        found.push(if exact { word } else { word.saturating_sub(1) });
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
    fn a_stack_is_not_copied_where_the_kernel_found_the_callers() {
        let words = [1, ids(7, 8), 99, 3, MARK_USER, 0x5000, 0x6000, 2, 0x7000, 16, 11, 12, 16];
        let Record::Sample { user, stack, .. } = parse(&record(SAMPLE, 0, &words)) else {
            panic!("no sample")
        };
        assert_eq!((user, stack), (2, None));
    }
    #[test]
    fn samples_of_other_processes_are_foreign() {
        let sample = record(SAMPLE, 0, &[1, ids(7, 8), 99, 0]);
        assert!(is_foreign(&sample, 8) && !is_foreign(&sample, 7));
        assert!(!is_foreign(&record(LOST, 0, &[1, 17]), 7), "losses are told, whoever caused them");
        assert!(!is_foreign(&sample[..HEADER + 4], 8));
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
