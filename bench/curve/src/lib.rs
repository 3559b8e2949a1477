//! The curve over sizes: what an operation costs in stores of a thousand to ten million keys.
//!
//! Every contender runs the same workload (`session.rs` of the guests) in the same order of keys. Each store is filled
//! and stays open; then rounds of gets, sets and increments alternate between the contenders, and the median of the
//! rounds counts.
//!
//! | file | |
//! |---|---|
//! | [`contender`] | what the driver asks of a store |
//! | [`drive`] | the rounds |
//! | [`table`] | the figures as text |
//! | [`stores`], [`directory`] | kvfuse's file store and its peers, natively |

pub mod contender;
pub mod directory;
pub mod drive;
pub mod stores;
pub mod table;
