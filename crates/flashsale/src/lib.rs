//! The reference service of Seawall: a flash sale that neither oversells nor loses an order, and the [`checker`] that
//! proves it.
//!
//! It is written as a user of Seawall would write it, on the facade alone. [`domain`] is the shop and knows no HTTP,
//! `api/` is the HTTP side, [`serve()`] the process around both. Start with `domain/mod.rs`.

mod api;
pub mod args;
pub mod checker;
mod clock;
mod config;
pub mod domain;
mod serve;
mod state;

pub use api::app;
pub use config::FlashsaleConfig;
pub use serve::serve;
