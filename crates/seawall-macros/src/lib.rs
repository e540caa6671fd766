//! The derives of Seawall; use them through the `seawall` crate.
