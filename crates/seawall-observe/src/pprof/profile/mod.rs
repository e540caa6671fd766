//! A profile as all formats see it: samples of places, places in functions, functions in files.
//!
//! The shape is that of `profile.proto`, with indices in place of its numbers. Who builds one hands in names; they are
//! kept once. Nothing here reads anything.

mod delta;
mod flame;
mod text;
mod tree;
mod wire;

use std::collections::HashMap;

pub(crate) use flame::svg;
pub(crate) use text::{debug, folded};
pub(crate) use wire::gzip;

/// Stands in for the file of the kernel's functions, and for its mapping's.
pub(crate) const KERNEL: &str = "[kernel]";

/// What a sample's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueType {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

impl ValueType {
    pub(crate) const fn new(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit }
    }
}

/// One profile.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) sample_types: Vec<ValueType>,
    /// The type that is shown first; one of the names above.
    pub(crate) default_type: &'static str,
    pub(crate) period_type: Option<ValueType>,
    pub(crate) period: i64,
    pub(crate) time_nanos: i64,
    pub(crate) duration_nanos: i64,
    /// What the reader has to know to not misread it.
    pub(crate) comments: Vec<String>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) places: Vec<Place>,
    pub(crate) functions: Vec<Function>,
    pub(crate) samples: Vec<Sample>,
    function_at: HashMap<Function, u32>,
}

/// A piece of a file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
    pub(crate) file: String,
    pub(crate) build_id: String,
}

/// An instruction, in all the functions that were inlined there, innermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// 0 where there is none: a task has no instruction.
    pub(crate) address: u64,
    pub(crate) mapping: Option<u32>,
    pub(crate) frames: Vec<Frame>,
}

/// A function and the line in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) function: u32,
    pub(crate) line: u32,
}

/// A function as people call it, as the linker calls it, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) symbol: String,
    pub(crate) file: String,
}

/// A stack, innermost place first, with one value per sample type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) places: Vec<u32>,
    pub(crate) values: Vec<i64>,
    pub(crate) labels: Vec<(&'static str, Label)>,
}

/// What is known of a sample beside its stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    Text(String),
    #[cfg_attr(not(feature = "tasks"), expect(dead_code, reason = "only tasks have one"))]
    Number(i64),
}

impl Profile {
    pub(crate) fn new(sample_types: &[ValueType], default_type: &'static str) -> Self {
        debug_assert!(sample_types.iter().any(|kind| kind.name == default_type));
        Self { sample_types: sample_types.to_vec(), default_type, ..Self::default() }
    }

    /// The function's index; the same function has the same one.
    pub(crate) fn function(&mut self, function: Function) -> u32 {
        if let Some(at) = self.function_at.get(&function) {
            return *at;
        }
        let at = self.functions.len() as u32;
        self.functions.push(function.clone());
        self.function_at.insert(function, at);
        at
    }

    pub(crate) fn place(&mut self, place: Place) -> u32 {
        self.places.push(place);
        (self.places.len() - 1) as u32
    }

    /// A place that is only a name and a line of code.
    pub(crate) fn named_place(&mut self, name: &str, file: &str, line: u32) -> u32 {
        let (name, symbol, file) = (name.to_owned(), name.to_owned(), file.to_owned());
        let function = self.function(Function { name, symbol, file });
        self.place(Place { address: 0, mapping: None, frames: vec![Frame { function, line }] })
    }

    /// Which value of a sample is shown where only one can be.
    pub(crate) fn default_index(&self) -> usize {
        self.sample_types.iter().position(|kind| kind.name == self.default_type).unwrap_or(0)
    }

    /// The names of a stack, outermost first.
    pub(crate) fn names<'a>(&'a self, sample: &'a Sample) -> impl Iterator<Item = &'a str> {
        let places = sample.places.iter().rev().map(|place| &self.places[*place as usize]);
        places
            .flat_map(|place| place.frames.iter().rev())
            .map(|frame| self.functions[frame.function as usize].name.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Stacks as a person writes them: outermost first, joined by `;`, with one value.
    pub(crate) fn of(stacks: &[(&str, i64)]) -> Profile {
        let mut profile = Profile::new(&[ValueType::new("samples", "count")], "samples");
        for (stack, value) in stacks {
            let mut places: Vec<_> =
                stack.split(';').map(|name| profile.named_place(name, "test.rs", 1)).collect();
            places.reverse();
            profile.samples.push(Sample { places, values: vec![*value], labels: Vec::new() });
        }
        profile
    }

    #[test]
    fn a_function_is_kept_once() {
        let profile = of(&[("main;a", 1), ("main;b", 2)]);
        let names: Vec<_> = profile.functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["main", "a", "b"]);
    }

    #[test]
    fn names_are_outermost_first_inlined_ones_included() {
        let mut profile = of(&[("main;a", 1)]);
        let inner = profile.functions.len() as u32;
        profile.function(Function { name: "in".into(), symbol: "in".into(), file: String::new() });
        profile.places[1].frames.insert(0, Frame { function: inner, line: 9 });
        assert_eq!(profile.names(&profile.samples[0]).collect::<Vec<_>>(), ["main", "a", "in"]);
    }
}
