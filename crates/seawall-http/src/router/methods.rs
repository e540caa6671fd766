//! Methods as small numbers, so that a leaf of the tree is one word.

use http::Method;

/// The number of a method in one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MethodId(pub(super) u8);

/// What an entry for any method has.
pub(super) const ANY: MethodId = MethodId(127);
/// What a request has whose method no route names.
pub(super) const UNKNOWN: MethodId = MethodId(126);
pub(super) const GET: MethodId = MethodId(0);
pub(super) const HEAD: MethodId = MethodId(1);

/// Those that have the same number in every tree.
const STANDARD: [Method; 10] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
    Method::QUERY,
    Method::CONNECT,
    Method::TRACE,
];

/// The most methods of one's own that a tree may have.
pub(super) const MAX_CUSTOM: usize = 100;

/// The methods that a tree knows.
#[derive(Debug, Default)]
pub(super) struct Methods {
    /// Sorted, so that a request with a method of its own costs the same however many there are.
    custom: Vec<(Method, MethodId)>,
}

impl Methods {
    /// The number of a method, a new one if need be; `None` if there are too many.
    pub(super) fn intern(&mut self, method: &Method) -> Option<MethodId> {
        match self.id(method) {
            UNKNOWN if self.custom.len() == MAX_CUSTOM => None,
            UNKNOWN => {
                let id = MethodId((STANDARD.len() + self.custom.len()) as u8);
                let at = self.custom.partition_point(|(known, _)| known.as_str() < method.as_str());
                self.custom.insert(at, (method.clone(), id));
                Some(id)
            }
            id => Some(id),
        }
    }

    /// The number of a method, or [`UNKNOWN`].
    #[inline]
    pub(super) fn id(&self, method: &Method) -> MethodId {
        match *method {
            Method::GET => GET,
            Method::HEAD => HEAD,
            Method::POST => MethodId(2),
            Method::PUT => MethodId(3),
            Method::DELETE => MethodId(4),
            Method::PATCH => MethodId(5),
            Method::OPTIONS => MethodId(6),
            Method::QUERY => MethodId(7),
            Method::CONNECT => MethodId(8),
            Method::TRACE => MethodId(9),
            _ => self.custom(method),
        }
    }

    fn custom(&self, method: &Method) -> MethodId {
        let found = self.custom.binary_search_by(|(known, _)| known.as_str().cmp(method.as_str()));
        found.map_or(UNKNOWN, |at| self.custom[at].1)
    }

    fn method(&self, id: MethodId) -> Option<Method> {
        let standard = STANDARD.get(usize::from(id.0)).cloned();
        standard
            .or_else(|| self.custom.iter().find(|(_, known)| *known == id).map(|(method, _)| method.clone()))
    }

    /// What `Allow` says: sorted, with what is answered without being registered: HEAD where there is GET, and OPTIONS.
    pub(super) fn allowed(&self, set: MethodSet) -> Vec<Method> {
        let known = (0..ANY.0).map(MethodId).filter(|id| set.has(*id));
        let mut methods: Vec<_> = known.filter_map(|id| self.method(id)).collect();
        if set.has(GET) {
            methods.push(Method::HEAD);
        }
        methods.push(Method::OPTIONS);
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        methods
    }
}

/// A set of methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MethodSet(u128);

impl MethodSet {
    pub(super) fn add(&mut self, id: MethodId) {
        self.0 |= 1 << id.0;
    }
    pub(super) fn has(self, id: MethodId) -> bool {
        self.0 & (1 << id.0) != 0
    }
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_ones_have_the_numbers_of_their_places() {
        let methods = Methods::default();
        for (number, method) in STANDARD.iter().enumerate() {
            assert_eq!(usize::from(methods.id(method).0), number, "{method}");
            assert_eq!(methods.method(MethodId(number as u8)).as_ref(), Some(method));
        }
    }

    #[test]
    fn others_get_theirs_until_there_are_too_many() {
        let mut methods = Methods::default();
        let method = |number: usize| Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
        for number in 0..MAX_CUSTOM {
            let id = methods.intern(&method(number)).unwrap();
            assert_eq!((methods.id(&method(number)), methods.method(id)), (id, Some(method(number))));
            assert!(id != UNKNOWN && id != ANY);
        }
        assert_eq!(methods.intern(&method(MAX_CUSTOM)), None);
        assert_eq!(methods.id(&method(MAX_CUSTOM)), UNKNOWN);
    }
}
