//! What the stores in services of AWS share, and in those that speak the same protocols.

pub mod credentials;
pub mod settings;
pub mod sign;
