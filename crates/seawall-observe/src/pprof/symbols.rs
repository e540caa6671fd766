//! Names for addresses: functions, files and lines, inlined functions included, of this process and its kernel.
//!
//! Never in a signal handler: this reads files. The program's own comes from `/proc/self/exe`, so that it is found even
//! if it was replaced on disk meanwhile. Names are demangled. What has no name gets its file and offset; an address that
//! is in no executable piece of memory is none (a chain of frame pointers went astray) and is left out.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;

use addr2line::Loader;

use super::profile::{Frame, Function, KERNEL, Mapping, Place, Profile, Sample, ValueType};
use super::read::elf::{self, Elf};
use super::read::kallsyms;
use super::read::maps::{self, Area};
use super::stacks::{Key, Stacks};

/// The upper half of the address space is the kernel's.
const KERNEL_BEGINS: u64 = 1 << 63;
/// As much of a file as holds its headers and notes.
const HEAD: u64 = 64 << 10;

/// Frames of the measuring itself lie within so many of the innermost ones.
const DEEPEST_HIDDEN: usize = 24;

/// A frame before it is put into a profile.
#[derive(Debug, Clone)]
struct Named {
    function: Function,
    line: u32,
}

/// The inner frames that belong to the measuring itself, by name: they are cut off.
pub(crate) type Hide = fn(&str) -> bool;

/// A profile of these stacks.
pub(crate) fn profile<const N: usize>(
    kinds: &[ValueType; N],
    default_type: &'static str,
    stacks: &Stacks<N>,
    label: impl Fn(&Key) -> Vec<(&'static str, super::profile::Label)>,
    hide: Hide,
) -> Profile {
    let mut profile = Profile::new(kinds, default_type);
    let sorted = stacks.sorted();
    let places = places(&mut profile, sorted.iter().flat_map(|(key, _)| key.addresses.iter().copied()));
    let hidden: Vec<_> = profile.places.iter().map(|place| is_hidden(&profile, place, hide)).collect();
    for (key, values) in sorted {
        let all = key.addresses.iter().filter_map(|address| places.get(address).copied());
        let mut all: Vec<_> = all.collect();
        // Up to the outermost one: what is further in was called by it.
        let tip = all.iter().take(DEEPEST_HIDDEN).rposition(|place| hidden[*place as usize]);
        all.drain(..tip.map_or(0, |at| at + 1));
        if all.is_empty() {
            all.push(profile.named_place("[no stack]", "", 0));
        }
        profile.samples.push(Sample { places: all, values: values.to_vec(), labels: label(key) });
    }
    profile
}

fn is_hidden(profile: &Profile, place: &Place, hide: Hide) -> bool {
    // The outermost of what was inlined there: if that belongs to the measuring, all does.
    let outermost = place.frames.last().map(|frame| &profile.functions[frame.function as usize]);
    outermost.is_some_and(|function| hide(&function.name))
}

/// The stack's frames as text, innermost first: for pages.
pub(crate) fn lines(stacks: &HashMap<u32, Vec<u64>>) -> HashMap<u32, Vec<String>> {
    let mut profile = Profile::new(&[ValueType::new("threads", "count")], "threads");
    let places = places(&mut profile, stacks.values().flatten().copied());
    let line = |frame: &Frame| {
        let Function { name, file, .. } = &profile.functions[frame.function as usize];
        if frame.line == 0 { name.clone() } else { format!("{name} ({file}:{})", frame.line) }
    };
    let lines = |stack: &Vec<u64>| {
        let places = stack.iter().filter_map(|address| places.get(address));
        places.flat_map(|place| profile.places[*place as usize].frames.iter().map(line)).collect()
    };
    stacks.iter().map(|(thread, stack)| (*thread, lines(stack))).collect()
}

/// Tells the walker where the program's own code is. At the start of whatever walks.
pub(crate) fn learn_code() {
    let areas = maps::executable(&fs::read_to_string("/proc/self/maps").unwrap_or_default());
    let own = learn_code as *const () as u64; // this crate is linked into the program
    if let Some(at) = maps::find(&areas, own) {
        super::sys::walk::learn_code(areas[at].start, areas[at].end);
    }
}

/// The name of one address, if it has any.
pub(crate) fn name(address: u64) -> Option<String> {
    let mut profile = Profile::new(&[ValueType::new("addresses", "count")], "addresses");
    let place = *places(&mut profile, std::iter::once(address)).get(&address)?;
    let frame = profile.places[place as usize].frames.last()?;
    Some(profile.functions[frame.function as usize].name.clone())
}

/// Puts a place for each address into the profile, with the mappings they are in.
fn places(profile: &mut Profile, addresses: impl Iterator<Item = u64>) -> HashMap<u64, u32> {
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    let kernels = addresses.split_off(addresses.partition_point(|address| *address < KERNEL_BEGINS));
    let mut found = HashMap::new();
    programs(profile, &addresses, &mut found);
    kernel(profile, &kernels, &mut found);
    found
}

fn programs(profile: &mut Profile, addresses: &[u64], found: &mut HashMap<u64, u32>) {
    let areas = maps::executable(&fs::read_to_string("/proc/self/maps").unwrap_or_default());
    let exe = fs::read_link("/proc/self/exe").unwrap_or_default();
    let exe = exe.to_string_lossy();
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(&exe);
    let mut objects = HashMap::<&str, Object>::new();
    let mut mappings = HashMap::<usize, u32>::new();
    // The program itself has to be the first mapping: that is how pprof knows what the profile is of.
    let own = addresses.iter().filter(|address| is_in(&areas, **address, exe));
    let others = addresses.iter().filter(|address| !is_in(&areas, **address, exe));
    for address in own.chain(others).copied() {
        let Some(at) = maps::find(&areas, address) else { continue };
        let area = &areas[at];
        let object = objects.entry(&area.file).or_insert_with(|| Object::open(area, exe));
        let mapping = *mappings.entry(at).or_insert_with(|| object.mapping(profile, area));
        let offset = address - area.start + area.offset;
        let frames = object.frames(offset);
        let frames = frames.into_iter().map(|named| frame(profile, named)).collect();
        found.insert(address, profile.place(Place { address, mapping: Some(mapping), frames }));
    }
}

fn is_in(areas: &[Area], address: u64, file: &str) -> bool {
    maps::find(areas, address).is_some_and(|at| areas[at].file == file)
}

fn kernel(profile: &mut Profile, addresses: &[u64], found: &mut HashMap<u64, u32>) {
    if addresses.is_empty() {
        return;
    }
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let mapping = profile.mappings.len() as u32;
    profile.mappings.push(Mapping {
        start: KERNEL_BEGINS,
        end: u64::MAX,
        offset: 0,
        file: KERNEL.to_owned(),
        build_id: String::new(),
    });
    for (address, name) in addresses.iter().zip(kallsyms::names(&symbols, addresses)) {
        let name = name.unwrap_or_else(|| KERNEL.to_owned());
        let function = Function { symbol: name.clone(), name, file: KERNEL.to_owned() };
        let frames = vec![frame(profile, Named { function, line: 0 })];
        found.insert(*address, profile.place(Place { address: *address, mapping: Some(mapping), frames }));
    }
}

fn frame(profile: &mut Profile, Named { function, line }: Named) -> Frame {
    Frame { function: profile.function(function), line }
}

/// A file that has code in memory.
struct Object {
    name: String,
    elf: Elf,
    debug: Option<Loader>,
}

impl Object {
    fn open(area: &Area, exe: &str) -> Self {
        let path = if area.file == exe { "/proc/self/exe" } else { &area.file };
        let mut head = Vec::new();
        // `[vdso]` and the like are no files.
        let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
        let elf = read.ok().and_then(|_| elf::parse(&head)).unwrap_or_default();
        let name = if area.file.is_empty() { "[anonymous]" } else { &area.file };
        Self { name: name.to_owned(), elf, debug: Loader::new(path).ok() }
    }

    fn mapping(&self, profile: &mut Profile, area: &Area) -> u32 {
        profile.mappings.push(Mapping {
            start: area.start,
            end: area.end,
            offset: area.offset,
            file: self.name.clone(),
            build_id: self.elf.build_id.clone(),
        });
        (profile.mappings.len() - 1) as u32
    }

    /// What is at an offset in the file, innermost first; never empty.
    fn frames(&self, offset: u64) -> Vec<Named> {
        let linked = self.elf.linked_at(offset);
        let debug = self.debug.as_ref().zip(linked);
        let frames = debug.map_or_else(Vec::new, |(debug, linked)| debug_frames(debug, linked));
        if !frames.is_empty() {
            return frames;
        }
        let symbol = debug.and_then(|(debug, linked)| debug.find_symbol(linked));
        let function = symbol.map(|symbol| function(symbol, String::new())).unwrap_or_else(|| {
            let short = self.name.rsplit('/').next().unwrap_or(&self.name);
            let name = if self.debug.is_some() { format!("{short}+{offset:#x}") } else { short.to_owned() };
            Function { symbol: name.clone(), name, file: String::new() }
        });
        vec![Named { function, line: 0 }]
    }
}

/// Debug information that has line tables only names functions without their paths. The outermost function has its
/// whole name in the symbol table; those that were inlined into it have none there, and get a path from their file.
fn debug_frames(debug: &Loader, linked: u64) -> Vec<Named> {
    let Ok(mut frames) = debug.find_frames(linked) else { return Vec::new() };
    let mut found = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let Some(name) = &frame.function else { continue };
        let Ok(symbol) = name.raw_name() else { continue };
        let (file, line) = frame.location.map_or((None, None), |at| (at.file, at.line));
        let function = function(&symbol, file.unwrap_or_default().to_owned());
        found.push(Named { function, line: line.unwrap_or(0) });
    }
    let whole = found.last_mut().filter(|outermost| is_bare(&outermost.function.name));
    if let (Some(outermost), Some(symbol)) = (whole, debug.find_symbol(linked)) {
        outermost.function = function(symbol, std::mem::take(&mut outermost.function.file));
    }
    for Named { function, .. } in &mut found {
        if is_bare(&function.name)
            && let Some(path) = rust_path(&function.file)
        {
            // Its types are left out: they name modules, but not this function's.
            let name = function.name.split('<').next().unwrap_or_default();
            function.name = format!("{path}::{name}");
        }
    }
    found
}

/// Whether a name has no path of its own; those of its types do not count.
fn is_bare(name: &str) -> bool {
    let name = name.split('<').next().unwrap_or_default();
    !name.is_empty() && !name.contains("::")
}

/// The path of the module that a file holds, if it is Rust's: `tokio-1.54.1/src/time/sleep.rs` is `tokio::time::sleep`.
fn rust_path(file: &str) -> Option<String> {
    let file = file.strip_suffix(".rs")?;
    let Some((package, inside)) = file.rsplit_once("/src/") else {
        return file.rsplit('/').next().map(str::to_owned);
    };
    let package = package.rsplit('/').next()?;
    let version = |at: &usize| package[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let version = package.match_indices('-').map(|(at, _)| at).find(version);
    let package = package[..version.unwrap_or(package.len())].replace('-', "_");
    let parts = inside.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod"));
    Some(parts.fold(package, |path, part| path + "::" + part))
}

/// Without the hash that Rust adds to tell builds apart.
fn function(symbol: &str, file: String) -> Function {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    Function { name, symbol: symbol.to_owned(), file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn a_function_with_a_name() -> u64 {
        let mut first = None;
        super::super::sys::walk::walk(super::super::sys::walk::here(), &mut |address| {
            first.get_or_insert(address);
            false
        });
        // The first return address is in our caller; ours is the function itself.
        assert!(first.is_some());
        a_function_with_a_name as *const () as u64
    }

    #[test]
    fn a_function_of_this_program_has_its_name_its_file_and_a_mapping_with_build_id() {
        let address = a_function_with_a_name();
        let mut profile = Profile::new(&[ValueType::new("n", "count")], "n");
        let places = places(&mut profile, [address, 16].into_iter());
        assert_eq!(places.len(), 1, "16 is no address");
        let place = &profile.places[places[&address] as usize];
        let outer = &profile.functions[place.frames.last().unwrap().function as usize];
        assert!(outer.name.ends_with("::a_function_with_a_name"), "{outer:?}");
        assert!(outer.file.ends_with("symbols.rs"), "{outer:?}");
        assert!(profile.mappings[0].file.contains("seawall_observe"), "{:?}", profile.mappings);
    }

    #[track_caller]
    fn check_path(file: &str, expected: Option<&str>) {
        assert_eq!(rust_path(file).as_deref(), expected, "{file}");
    }

    #[test]
    fn a_name_is_bare_whatever_its_types_are() {
        assert!(is_bare("poll") && is_bare("catch_unwind<(), std::panic::Safe>"));
        assert!(!is_bare("std::panic::catch_unwind") && !is_bare("<T as core::ops::FnOnce>::call_once"));
    }

    #[test]
    fn a_file_is_a_module() {
        check_path("/registry/src/index-1/tokio-1.54.1/src/time/sleep.rs", Some("tokio::time::sleep"));
        check_path("/rustc/5980/library/core/src/future/future.rs", Some("core::future::future"));
        check_path("crates/seawall-http/src/server/mod.rs", Some("seawall_http::server"));
        check_path("/srv/shop/src/main.rs", Some("shop"));
        check_path("/srv/shop/tests/orders.rs", Some("orders"));
        check_path("/build/glibc/malloc.c", None);
    }

    #[test]
    fn a_function_of_a_library_has_its_name() {
        assert!(name(libc::getpid as *const () as u64).is_some_and(|name| name.contains("getpid")));
        assert_eq!(name(16), None);
    }

    #[test]
    fn a_stack_of_nothing_is_called_so() {
        let mut stacks = Stacks::<1>::new(4);
        stacks.add(0, &[16], [3]);
        let profile = profile(&[ValueType::new("n", "count")], "n", &stacks, |_| Vec::new(), |_| false);
        assert_eq!(profile.names(&profile.samples[0]).collect::<Vec<_>>(), ["[no stack]"]);
    }
}
