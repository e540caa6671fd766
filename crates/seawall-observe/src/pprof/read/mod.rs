//! What the kernel and files say, taken apart: pure functions of text and bytes, each tested on examples.

pub(crate) mod cores;
pub(crate) mod elf;
pub(crate) mod kallsyms;
pub(crate) mod maps;
pub(crate) mod records;
pub(crate) mod stat;
