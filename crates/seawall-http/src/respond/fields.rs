//! The headers of an answer. Most have a content type and a few more, and to make a map for those would cost more than
//! to write the whole head does: so they are a list until there are many, or somebody looks at the map.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// A list is not longer than this, so that looking through it beats a map.
const FEW: usize = 6;

/// The headers of an answer.
#[derive(Default)]
pub(crate) struct Fields {
    /// Apart from the others, so that an answer that has nothing else needs no list. It and the list mean nothing once
    /// there is a map.
    content_type: Option<HeaderValue>,
    few: Vec<(HeaderName, HeaderValue)>,
    /// In a box: an answer is moved through every layer of its chain, and most of its size would be this.
    map: OnceLock<Box<HeaderMap>>,
}

impl Fields {
    /// Sets a header; it replaces an earlier one of its name.
    pub(crate) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        if self.map.get().is_some() {
            self.map_mut().insert(name, value);
        } else if name == header::CONTENT_TYPE && !self.few.iter().any(|(known, _)| *known == name) {
            self.content_type = Some(value);
        } else if self.few.len() == FEW || self.few.iter().any(|(known, _)| *known == name) {
            self.map_mut().insert(name, value);
        } else {
            self.push(name, value);
        }
    }

    /// Adds a header beside those of its name.
    pub(crate) fn append(&mut self, name: HeaderName, value: HeaderValue) {
        if self.map.get().is_some() || self.few.len() == FEW {
            self.map_mut().append(name, value);
        } else {
            self.push(name, value);
        }
    }

    fn push(&mut self, name: HeaderName, value: HeaderValue) {
        self.few.reserve(if self.few.is_empty() { 3 } else { 1 });
        self.few.push((name, value));
    }

    pub(super) fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| Box::new(self.of_few()))
    }

    pub(super) fn map_mut(&mut self) -> &mut HeaderMap {
        self.map();
        self.map.get_mut().expect("it was made in the line before")
    }

    pub(crate) fn into_map(mut self) -> HeaderMap {
        std::mem::take(self.map_mut())
    }

    /// All that is set.
    pub(crate) fn set(&self) -> Set<'_> {
        match self.map.get() {
            Some(map) => Set::Map(map),
            None => Set::Few(self.content_type.as_ref(), &self.few),
        }
    }

    fn of_few(&self) -> HeaderMap {
        if self.content_type.is_none() && self.few.is_empty() {
            return HeaderMap::new(); // allocates nothing: it may be replaced as a whole
        }
        // Whoever asks for the map has another header to put in.
        let mut map = HeaderMap::with_capacity(4 + self.few.len());
        if let Some(value) = &self.content_type {
            map.insert(header::CONTENT_TYPE, value.clone());
        }
        for (name, value) in &self.few {
            map.append(name.clone(), value.clone());
        }
        map
    }
}

/// The headers that are set, to look at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Set<'a> {
    /// A content type, and the others.
    Few(Option<&'a HeaderValue>, &'a [(HeaderName, HeaderValue)]),
    Map(&'a HeaderMap),
}

impl<'a> Set<'a> {
    /// The first value of this name.
    pub(crate) fn get(self, name: &HeaderName) -> Option<&'a HeaderValue> {
        match self {
            Self::Map(map) => map.get(name),
            Self::Few(Some(value), _) if *name == header::CONTENT_TYPE => Some(value),
            Self::Few(_, few) => few.iter().find(|(known, _)| known == name).map(|(_, value)| value),
        }
    }

    /// Whether any value of this name is such a one.
    pub(crate) fn any(self, name: &HeaderName, mut is: impl FnMut(&HeaderValue) -> bool) -> bool {
        match self {
            Self::Map(map) => map.get_all(name).iter().any(is),
            Self::Few(content_type, few) => {
                content_type.is_some_and(|value| *name == header::CONTENT_TYPE && is(value))
                    || few.iter().any(|(known, value)| known == name && is(value))
            }
        }
    }

    /// Hands out each, in order.
    pub(crate) fn for_each(self, mut each: impl FnMut(&HeaderName, &HeaderValue)) {
        match self {
            Self::Map(map) => map.iter().for_each(|(name, value)| each(name, value)),
            Self::Few(content_type, few) => {
                if let Some(value) = content_type {
                    each(&header::CONTENT_TYPE, value);
                }
                few.iter().for_each(|(name, value)| each(name, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

    fn all(fields: &Fields) -> Vec<String> {
        let mut all = Vec::new();
        fields.set().for_each(|name, value| all.push(format!("{name}: {}", value.to_str().unwrap())));
        all
    }

    #[test]
    fn a_content_type_alone_needs_no_list() {
        let mut fields = Fields::default();
        assert!(all(&fields).is_empty());
        fields.insert(header::CONTENT_TYPE, JSON);
        fields.insert(header::CONTENT_TYPE, TEXT);
        assert_eq!(all(&fields), ["content-type: text/plain"]);
        assert!(fields.few.capacity() == 0 && fields.map.get().is_none());
    }

    #[test]
    fn a_map_has_all_that_was_set_before_and_after() {
        let mut fields = Fields::default();
        fields.insert(header::CONTENT_TYPE, JSON);
        fields.append(header::VARY, TEXT);
        assert_eq!(fields.map().get(header::CONTENT_TYPE), Some(&JSON));
        fields.insert(header::CONTENT_TYPE, TEXT);
        fields.insert(header::ETAG, JSON);
        assert_eq!(all(&fields), ["content-type: text/plain", "vary: text/plain", "etag: application/json"]);
        fields.map_mut().remove(header::CONTENT_TYPE);
        let map = fields.into_map();
        assert_eq!((map.len(), map.get(header::ETAG)), (2, Some(&JSON)));
    }

    /// The list is a shorter way to what the map would say.
    #[test]
    fn a_list_says_what_a_map_would() {
        let names = [header::CONTENT_TYPE, header::VARY, header::ETAG, header::LINK, header::VIA];
        for seed in 0..2_000_usize {
            let (mut fields, mut map) = (Fields::default(), HeaderMap::new());
            for step in 0..seed % 11 {
                let name = &names[(seed / (step + 1) + step * 7) % names.len()];
                let value = HeaderValue::from(seed + step);
                if (seed >> step) & 1 == 0 {
                    fields.insert(name.clone(), value.clone());
                    map.insert(name, value);
                } else {
                    fields.append(name.clone(), value.clone());
                    map.append(name, value);
                }
            }
            for name in &names {
                let mut values = Vec::new();
                assert!(!fields.set().any(name, |value| {
                    values.push(value.clone());
                    false
                }));
                assert_eq!(values, map.get_all(name).iter().cloned().collect::<Vec<_>>(), "{seed} {name}");
                assert_eq!(fields.set().get(name), map.get(name), "{seed} {name}");
            }
            assert_eq!(fields.into_map(), map, "{seed}");
        }
    }
}
