//! The tests that see tagrelay from outside, in one binary: contracts with outside systems, vectors, stories.
//!
//! What one module does by itself is tested beside it.

mod cli;
mod contract;
mod contract_keys;
#[cfg(feature = "sandbox")]
mod crash;
mod deploy;
mod edit;
mod full_disk;
mod port;
mod reference;
mod reload;
mod server;
#[cfg(feature = "sandbox")]
mod stories;
mod tidy;
mod vectors_select;
