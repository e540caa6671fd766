//! The reference service of Seawall: a flash sale that neither oversells nor loses an order, and the checker that
//! proves it.

pub mod checker;
mod clock;
mod config;
pub mod domain;
mod state;

pub use config::FlashsaleConfig;
