//! The headers of an answer. Most have a content type and nothing else, and a map for that alone would cost more than
//! writing the whole head does: so the map is made when a second header comes, or when somebody looks.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The headers of an answer.
#[derive(Default)]
pub(crate) struct Fields {
    /// Means nothing once there is a map.
    content_type: Option<HeaderValue>,
    /// In a box: an answer is moved through every layer of its chain, and most of its size would be this.
    map: OnceLock<Box<HeaderMap>>,
}

impl Fields {
    /// Sets a header; it replaces an earlier one of its name.
    pub(super) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        if name == header::CONTENT_TYPE && self.map.get().is_none() {
            self.content_type = Some(value);
        } else {
            self.map_mut().insert(name, value);
        }
    }

    pub(super) fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| Box::new(self.of_content_type()))
    }

    pub(super) fn map_mut(&mut self) -> &mut HeaderMap {
        self.map();
        self.map.get_mut().expect("it was made in the line before")
    }

    pub(crate) fn into_map(mut self) -> HeaderMap {
        std::mem::take(self.map_mut())
    }

    /// The map, if there is one, or else the only header.
    pub(crate) fn made(&self) -> Result<&HeaderMap, Option<&HeaderValue>> {
        self.map.get().map(|map| &**map).ok_or(self.content_type.as_ref())
    }

    fn of_content_type(&self) -> HeaderMap {
        let Some(value) = &self.content_type else { return HeaderMap::new() };
        let mut map = HeaderMap::with_capacity(4); // whoever asks for the map has another header to put in
        map.insert(header::CONTENT_TYPE, value.clone());
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

    #[test]
    fn a_content_type_alone_needs_no_map() {
        let mut fields = Fields::default();
        assert_eq!(fields.made(), Err(None));
        fields.insert(header::CONTENT_TYPE, JSON);
        fields.insert(header::CONTENT_TYPE, TEXT);
        assert_eq!(fields.made(), Err(Some(&TEXT)));
    }

    #[test]
    fn a_map_has_all_that_was_set_before_and_after() {
        let mut fields = Fields::default();
        fields.insert(header::CONTENT_TYPE, JSON);
        assert_eq!(fields.map().get(header::CONTENT_TYPE), Some(&JSON));
        fields.insert(header::CONTENT_TYPE, TEXT);
        fields.insert(header::ETAG, JSON);
        assert_eq!(fields.made().unwrap().len(), 2);
        fields.map_mut().remove(header::CONTENT_TYPE);
        let map = fields.into_map();
        assert_eq!((map.len(), map.get(header::ETAG)), (1, Some(&JSON)));
    }
}
