//! The reference service of Seawall: a flash sale that neither oversells nor loses an order, and the checker that
//! proves it.

pub mod checker;
