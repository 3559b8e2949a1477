//! Values passed as host streams, without going through the instance's memory.
//!
//! A guest cannot create a `wasi:io` stream. It can only hand on one that its host made, for a file or an HTTP body. So
//! a store that supports streams obtains one from its transport and passes it up as an opaque [`Any`]. The facade,
//! which uses the same stream types as the transport, downcasts it. Nothing in between looks inside.
//!
//! Streams are optional: by default [`Store::create_body`](crate::Store::create_body),
//! [`Bucket::set_body`](crate::Bucket::set_body) and [`Bucket::get_body`](crate::Bucket::get_body) answer
//! [`Unsupported`](crate::Kind::Unsupported).

use std::any::Any;

/// A value on its way into a store.
///
/// [`Store::create_body`](crate::Store::create_body) makes it, its stream receives the value, and
/// [`Bucket::set_body`](crate::Bucket::set_body) stores it under a key. A body that is dropped before that leaves
/// nothing behind.
///
/// ```
/// use kvfuse_core::{Body, Error, Result};
/// use std::any::Any;
///
/// /// A body whose "stream" is a number.
/// struct Numbered(Option<u32>);
///
/// impl Body for Numbered {
///     fn take_stream(&mut self) -> Result<Box<dyn Any>> {
///         let stream = self.0.take().ok_or_else(|| Error::invalid("the stream has already been taken"))?;
///         Ok(Box::new(stream))
///     }
///
///     fn as_any(&mut self) -> &mut dyn Any {
///         self
///     }
/// }
///
/// let mut body = Numbered(Some(7));
/// let stream = body.take_stream()?;
/// assert_eq!(stream.downcast_ref::<u32>(), Some(&7));
/// assert!(body.take_stream().is_err());
/// # Ok::<(), Error>(())
/// ```
pub trait Body: Any {
    /// The output stream to write the value to.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument) on every call but the first.
    fn take_stream(&mut self) -> crate::Result<Box<dyn Any>>;

    /// This body, for the store that made it to downcast.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// A value on its way out of a store: what [`Bucket::get_body`](crate::Bucket::get_body) returns.
pub struct BodyReader {
    /// The value's size in bytes. The stream ends after that many.
    pub size: u64,
    /// The input stream to read the value from, to be downcast to the transport's type.
    pub stream: Box<dyn Any>,
}
