//! `#[derive(Bind)]`: `parse.rs` reads the struct and says what is wrong with it, all of it at once; `expand.rs` writes
//! the implementation, a thin one, because the work is in `seawall-http`'s `extract/bind/derive.rs`.

mod expand;
mod parse;

pub(crate) use expand::expand;
pub(crate) use parse::parse;
