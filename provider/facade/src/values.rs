//! The resources of the generations before 2024-04: buckets, values on their way in and out, and errors.

use crate::Provider;
use kvfuse_core::{Body, Error, Kind, Result, error::quoted};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// The most bytes to read from a stream at once.
const CHUNK: usize = 1 << 20;

/// The trace of the error for a missing key, in the generation where that is an error. Consumers compare with it.
pub const KEY_NOT_FOUND: &str = "Key not found";

/// An error as a resource.
pub struct Trace(pub Error);

/// An open bucket.
pub struct Bucket<P>(pub Rc<dyn kvfuse_core::Bucket>, PhantomData<P>);

impl<P: Provider> Bucket<P> {
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(P::with_store(|store| store.open(name))?, PhantomData))
    }
}

/// A value to be set; see the comments on `outgoing-value` in `wit/`.
pub struct Outgoing<P> {
    state: RefCell<State>,
    written: Option<Written>,
    provider: PhantomData<P>,
}

/// Called with the bytes of a value when they have been written.
pub type Written = Box<dyn Fn(&[u8]) -> Result<()>>;

enum State {
    Whole(Vec<u8>),
    Stream(Box<dyn Body>),
    /// A stream that has become the value of a key.
    Stored,
}

impl<P: Provider> Outgoing<P> {
    pub fn empty() -> Self {
        Self { state: RefCell::new(State::Whole(Vec::new())), written: None, provider: PhantomData }
    }

    pub fn with_hook(written: Written) -> Self {
        Self { written: Some(written), ..Self::empty() }
    }

    pub fn write(&self, value: Vec<u8>) -> Result<()> {
        let mut state = self.state.borrow_mut();
        if !matches!(*state, State::Whole(_)) {
            return Err(Error::invalid("this value is written through a stream; create another value to pass bytes"));
        }
        if let Some(written) = &self.written {
            written(&value)?;
        }
        *state = State::Whole(value);
        Ok(())
    }

    pub fn stream(&self) -> Result<OutputStream> {
        let mut state = self.state.borrow_mut();
        if self.written.is_some() {
            return Err(Error::unsupported("the cache does not support values as streams; write the bytes as a list"));
        }
        if !matches!(&*state, State::Whole(value) if value.is_empty()) {
            return Err(Error::invalid("this value already has its bytes; create another value for a stream"));
        }
        let mut body = P::with_store(|store| store.create_body())?;
        let stream = own(body.take_stream()?)?;
        *state = State::Stream(body);
        Ok(stream)
    }

    pub fn set(&self, bucket: &dyn kvfuse_core::Bucket, key: &str) -> Result<()> {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            State::Whole(value) => bucket.set(key, value),
            State::Stream(body) => {
                bucket.set_body(key, body.as_mut())?;
                *state = State::Stored;
                Ok(())
            }
            State::Stored => Err(stored()),
        }
    }

    /// Calls `f` with the bytes of a value that is not a stream.
    pub fn with_whole<T>(&self, f: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        match &*self.state.borrow() {
            State::Whole(value) => f(value),
            State::Stream(_) => {
                Err(Error::unsupported("the cache does not support values as streams; write the bytes as a list"))
            }
            State::Stored => Err(stored()),
        }
    }

    /// Sets several values: byte lists with one call to the store, then streams one by one.
    pub fn set_many(bucket: &dyn kvfuse_core::Bucket, values: &[(String, &Self)]) -> Result<()> {
        let states: Vec<_> = values.iter().map(|(key, value)| (key, value.state.borrow())).collect();
        let mut pairs = Vec::new();
        for (key, state) in &states {
            match &**state {
                State::Whole(value) => pairs.push((key.as_str(), value.as_slice())),
                State::Stream(_) => {}
                State::Stored => return Err(stored()),
            }
        }
        bucket.set_many(&pairs)?;
        let all_whole = pairs.len() == values.len();
        drop(states);
        if all_whole {
            return Ok(());
        }
        let mut streams = values.iter().filter(|(_, value)| !matches!(&*value.state.borrow(), State::Whole(_)));
        streams.try_for_each(|(key, value)| value.set(bucket, key))
    }
}

fn stored() -> Error {
    Error::invalid("this value's stream has already been stored; a streamed value can only be set once")
}

/// A value that was read.
pub struct Incoming {
    pub size: u64,
    content: Cell<Option<Content>>,
}

enum Content {
    Whole(Vec<u8>),
    Stream(Box<dyn Any>),
}

impl Incoming {
    pub fn get(bucket: &dyn kvfuse_core::Bucket, key: &str) -> Result<Option<Self>> {
        match bucket.get_body(key) {
            Ok(body) => Ok(body.map(|body| Self::new(body.size, Content::Stream(body.stream)))),
            Err(error) if error.kind() == Kind::Unsupported => Ok(bucket.get(key)?.map(Self::whole)),
            Err(error) => Err(error),
        }
    }

    pub fn whole(value: Vec<u8>) -> Self {
        Self::new(value.len() as u64, Content::Whole(value))
    }

    fn new(size: u64, content: Content) -> Self {
        Self { size, content: Cell::new(Some(content)) }
    }

    pub fn consume(&self) -> Result<Vec<u8>> {
        match self.take()? {
            Content::Whole(value) => Ok(value),
            Content::Stream(stream) => read(&own::<InputStream>(stream)?, self.size),
        }
    }

    pub fn consume_stream(&self) -> Result<InputStream> {
        match self.take()? {
            Content::Stream(stream) => own(stream),
            Content::Whole(value) => {
                self.content.set(Some(Content::Whole(value)));
                Err(Error::unsupported("this store does not support values as streams; consume the value as a list"))
            }
        }
    }

    fn take(&self) -> Result<Content> {
        self.content.take().ok_or_else(|| Error::invalid("this value has already been consumed; get it again"))
    }
}

/// The value of a key, in the generation where a missing key is an error.
pub fn found(value: Option<Incoming>) -> Result<Incoming> {
    value.ok_or_else(|| Error::new(Kind::Other, KEY_NOT_FOUND))
}

fn own<T: 'static>(stream: Box<dyn Any>) -> Result<T> {
    let stream = stream.downcast::<T>().map_err(|_| Error::unsupported("unexpected type of stream"))?;
    Ok(*stream)
}

fn read(stream: &InputStream, size: u64) -> Result<Vec<u8>> {
    let too_large =
        || Error::invalid(format!("a value of {size} bytes does not fit into memory; consume it as a stream"));
    let size = usize::try_from(size).map_err(|_| too_large())?;
    let mut value = Vec::new();
    value.try_reserve_exact(size).map_err(|_| too_large())?;
    while value.len() < size {
        let wanted = (size - value.len()).min(CHUNK);
        match stream.blocking_read(wanted as u64) {
            Ok(bytes) => value.extend_from_slice(&bytes),
            Err(StreamError::Closed) => {
                return Err(Error::new(
                    Kind::Damaged,
                    format!("the value ended after {} of {size} bytes", value.len()),
                ));
            }
            Err(StreamError::LastOperationFailed(error)) => {
                let reason = quoted(&error.to_debug_string());
                return Err(Error::new(Kind::Other, format!("cannot read the value: {reason}")));
            }
        }
    }
    Ok(value)
}
