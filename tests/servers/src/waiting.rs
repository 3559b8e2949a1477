//! The ports for a world that waits, on tokio: many calls in one thread.

use crate::clock::{SystemClock, left};
use crate::net::fault;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Page, Result, Snapshot, Store, Swap, Version};
use kvfuse_transport::clock::{AsyncClock, Clock, Moment};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Input, Network, Output};
use std::cell::Cell;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Builder, Runtime};

/// A network that counts connections and writes.
#[derive(Clone, Default)]
pub struct TokioNetwork {
    pub connects: Rc<Cell<usize>>,
    pub writes: Rc<Cell<usize>>,
    /// The most bytes that are written at once, if there is a limit: a write of more waits in between.
    pub piece: Rc<Cell<Option<usize>>>,
}

pub struct TokioInput(OwnedReadHalf);

pub struct TokioOutput(OwnedWriteHalf, TokioNetwork);

/// The clock of a world that waits.
#[derive(Clone, Copy, Default)]
pub struct TokioClock;

impl AsyncClock for TokioClock {
    fn now(&self) -> Moment {
        Clock::now(&SystemClock)
    }

    async fn sleep_until(&self, moment: Moment) {
        tokio::time::sleep(moment.since(self.now())).await;
    }

    async fn others_first(&self) {
        tokio::task::yield_now().await;
    }
}

async fn timely<T>(deadline: Moment, what: impl Future<Output = std::io::Result<T>>) -> Result<T, Fault> {
    // Once the deadline has passed, it is too late even for what is ready.
    let left = left(deadline).ok_or_else(Fault::timed_out)?.min(Duration::from_secs(3600));
    let done = tokio::time::timeout(left, what).await.map_err(|_| Fault::timed_out())?;
    done.map_err(|error| fault(&error))
}

impl Network for TokioNetwork {
    type Input = TokioInput;
    type Output = TokioOutput;
    const WAITS: bool = true;

    async fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<(TokioInput, TokioOutput), Fault> {
        let Ok(addresses) = tokio::net::lookup_host((host, port)).await else {
            return Err(Fault::new(Cause::NameUnknown, format!("the name {host} cannot be resolved")));
        };
        let addresses: Vec<_> = addresses.collect();
        let stream = timely(deadline, TcpStream::connect(&addresses[..])).await?;
        stream.set_nodelay(true).unwrap();
        self.connects.set(self.connects.get() + 1);
        let (input, output) = stream.into_split();
        Ok((TokioInput(input), TokioOutput(output, self.clone())))
    }
}

impl Input for TokioInput {
    async fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        loop {
            timely(deadline, self.0.readable()).await?;
            if let Some(bytes) = self.try_read()? {
                return Ok(bytes);
            }
        }
    }

    async fn at_hand(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        // Lets the runtime ask the system what has arrived.
        tokio::task::yield_now().await;
        self.try_read()
    }
}

impl TokioInput {
    fn try_read(&self) -> Result<Option<Vec<u8>>, Fault> {
        let mut buffer = vec![0; 64 << 10];
        match self.0.try_read(&mut buffer) {
            Ok(count) => {
                buffer.truncate(count);
                Ok(Some(buffer))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(fault(&error)),
        }
    }
}

impl Output for TokioOutput {
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, deadline: Moment) -> Result<(), Fault> {
        self.1.writes.set(self.1.writes.get() + 1);
        while *sent < bytes.len() {
            timely(deadline, self.0.writable()).await?;
            let end = self.1.piece.get().map_or(bytes.len(), |piece| bytes.len().min(*sent + piece));
            match self.0.try_write(&bytes[*sent..end]) {
                Ok(taken) => *sent += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(fault(&error)),
            }
            if self.1.piece.get().is_some() {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// A future that is dropped after it was polled so many times; `None` says that it was.
pub struct Polled<F: ?Sized>(pub Pin<Box<F>>, pub usize);

impl<F: Future> Polled<F> {
    pub fn times(times: usize, future: F) -> Self {
        Self(Box::pin(future), times)
    }
}

impl<F: Future + ?Sized> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        match self.0.as_mut().poll(cx) {
            Poll::Pending if self.1 == 0 => Poll::Ready(None),
            polled => polled.map(Some),
        }
    }
}

/// The outcomes of many futures at once. Each has a waker of its own, so that one that is not woken is never polled again.
pub async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let numbered = futures.into_iter().enumerate().map(|(number, future)| async move { (number, future.await) });
    let mut done: Vec<_> = numbered.collect::<FuturesUnordered<_>>().collect().await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, output)| output).collect()
}

/// A runtime of one thread.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A store that waits, for tests that call one after the other: each call runs to its end.
pub struct Blocking<S> {
    pub store: S,
    pub runtime: Rc<Runtime>,
}

impl<S> Blocking<S> {
    pub fn new(store: S) -> Self {
        Self { store, runtime: Rc::new(runtime()) }
    }
}

impl<S: AsyncStore<Bucket: 'static>> Store for Blocking<S> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(BlockingBucket(self.store.open_async(bucket)?, self.runtime.clone())))
    }
}

struct BlockingBucket<B>(B, Rc<Runtime>);

impl<B: AsyncBucket> Bucket for BlockingBucket<B> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.1.block_on(self.0.get(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.1.block_on(self.0.set(key, value))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.1.block_on(self.0.delete(key))
    }

    fn exists(&self, key: &str) -> Result<bool> {
        self.1.block_on(self.0.exists(key))
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.1.block_on(self.0.list(cursor))
    }

    fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.1.block_on(self.0.list_prefix(prefix, cursor))
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.1.block_on(self.0.increment(key, delta, floor))
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.1.block_on(self.0.snapshot(key))
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.1.block_on(self.0.swap(key, expected, value))
    }

    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.1.block_on(self.0.create(key, value, lifetime))
    }

    fn version_text(&self, key: &str, version: &Version) -> String {
        self.0.version_text(key, version)
    }

    fn version_of_text(&self, key: &str, text: &str) -> Option<Version> {
        self.0.version_of_text(key, text)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.1.block_on(self.0.get_many(keys))
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.1.block_on(self.0.set_many(pairs))
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.1.block_on(self.0.delete_many(keys))
    }

    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.1.block_on(self.0.set_expiring(key, value, lifetime))
    }
}
