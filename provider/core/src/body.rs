//! Values that pass as host streams, without going through the instance's memory.
//!
//! A guest cannot make a `wasi:io` stream, it can only hand on one that its host made (of a file, of an HTTP body). So a
//! store that can do this makes the stream in its transport and hands it up as an opaque [`Any`]; the facade, which
//! shares the transport's stream types, takes it out again. Nothing in between looks inside.

use std::any::Any;

/// A value under way into a store: made by [`Store::create_body`](crate::Store::create_body), written through its
/// stream, and stored by [`Bucket::set_body`](crate::Bucket::set_body). Dropped without being stored, it leaves nothing.
pub trait Body: Any {
    /// The output stream to write the value to; once per body, the second call is an error.
    fn take_stream(&mut self) -> crate::Result<Box<dyn Any>>;

    fn as_any(&mut self) -> &mut dyn Any;
}

/// A value on its way out of a store.
pub struct BodyReader {
    /// In bytes; the stream ends after as many.
    pub size: u64,
    /// An input stream.
    pub stream: Box<dyn Any>,
}
