//! The store and its buckets.

use crate::client::{Answer, Call, Client, MARK, MAX_ANSWER, Repeat};
use crate::config::Config;
use crate::error::{Failure, S3, too_large};
use crate::guarded::{Expect, Guarded};
use crate::layout;
use kvfuse_core::store::no_lifetimes;
use kvfuse_core::waiting::at_once;
use kvfuse_core::{
    AsyncBucket, AsyncStore, Body, BodyReader, Bucket, Error, Page, Result, Settings, Snapshot, Store, Swap, Version,
};
use kvfuse_http::ambient::Ambient;
use kvfuse_http::tag::is_tag;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, Headers, HttpClient, Method};
use kvfuse_transport::turns::Turns;
use std::rc::Rc;
use std::time::Duration;

/// Buckets in a bucket of S3. Opening one takes no round trip.
pub struct S3Store<H, C> {
    shared: Rc<Shared<H, C>>,
}

/// What all buckets of an instance share.
pub(crate) struct Shared<H, C> {
    pub client: Client<H, C>,
    pub ambient: Ambient,
    pub increments: Turns,
}

impl<H: AsyncHttpClient, C: AsyncClock> S3Store<H, C> {
    /// A store with these settings, which `docs/s3.md` lists.
    ///
    /// # Errors
    /// [`Unavailable`](kvfuse_core::Kind::Unavailable) if no endpoint, bucket or credentials are configured,
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) for a setting that is not valid.
    pub fn new(settings: &Settings, http: H, clock: C, ambient: Ambient) -> Result<Self> {
        let client = Client::new(Config::from_settings(settings)?, http, clock, ambient.since_1970);
        Ok(Self { shared: Rc::new(Shared { client, ambient, increments: Turns::default() }) })
    }

    fn bucket(&self, bucket: &str) -> Result<S3Bucket<H, C>> {
        let space = layout::space(&self.shared.client.config.prefix, bucket)?;
        Ok(S3Bucket { shared: self.shared.clone(), space })
    }
}

impl<H: HttpClient + 'static, C: AsyncClock + 'static> Store for S3Store<H, C> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(self.bucket(bucket)?))
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        Err(Error::unsupported(
            "writing values as streams is not supported with S3, where an upload begins with its key and its size, \
             which are not known yet; pass the value as a byte list",
        ))
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncStore for S3Store<H, C> {
    type Bucket = S3Bucket<H, C>;

    fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
        self.bucket(bucket)
    }
}

/// One of its buckets.
pub struct S3Bucket<H, C> {
    pub(crate) shared: Rc<Shared<H, C>>,
    /// What the names of its objects begin with.
    pub(crate) space: String,
}

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub value: Vec<u8>,
    pub state: State,
}

/// One state of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The mark of the write that left it like this or, if something else wrote it, the time of that.
    pub write: String,
    /// That of the content, with which a write can be conditional.
    pub tag: String,
}

impl State {
    fn of(headers: &Headers) -> Option<Self> {
        let write = headers.get(MARK).or_else(|| headers.get("last-modified")).unwrap_or_default().to_string();
        Some(Self { write, tag: headers.get("etag").filter(|tag| is_tag(tag))?.to_string() })
    }

    /// As a version. A tag has no spaces.
    fn version(&self) -> Version {
        Version::Tag(format!("{} {}", self.write, self.tag).into_bytes().into())
    }

    fn in_version(version: &[u8]) -> Option<Self> {
        let (write, tag) = std::str::from_utf8(version).ok()?.rsplit_once(' ')?;
        is_tag(tag).then(|| Self { write: write.to_string(), tag: tag.to_string() })
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> S3Bucket<H, C> {
    pub(crate) fn object(&self, key: &str) -> Result<String> {
        layout::object(&self.space, key)
    }

    fn reading<'a>(&self, name: &'a str, headers: &'a [(&'a str, &'a str)], deadline: Moment) -> Call<'a> {
        let max_answer = self.shared.client.config.largest.max(MAX_ANSWER);
        Call { method: Method::Get, name, query: "", headers, body: b"", repeat: Repeat::Freely, max_answer, deadline }
    }

    /// The object of a key.
    pub(crate) async fn find(&self, name: &str, deadline: Moment) -> Result<Option<Found>, Failure> {
        let client = &self.shared.client;
        match client.call(&self.reading(name, &[], deadline)).await? {
            Answer::Done(response) if response.body.len() > client.config.largest => {
                Err(too_large(&client.config).into())
            }
            Answer::Done(response) => {
                Ok(Some(Found { state: self.state_in(&response.headers)?, value: response.body }))
            }
            Answer::Missing => Ok(None),
            Answer::TooLarge => Err(too_large(&client.config).into()),
            Answer::NotMet | Answer::Empty => Err(S3.stranger(&client.config.server).into()),
        }
    }

    /// Whether the object is there and, unless the server does not say it, its state. This asks for the first byte of its value:
    /// unlike an answer to HEAD, one without it says why.
    async fn peek(&self, name: &str, deadline: Moment) -> Result<Option<Option<State>>, Failure> {
        let client = &self.shared.client;
        match client.call(&self.reading(name, &[("range", "bytes=0-0")], deadline)).await? {
            Answer::Done(response) => Ok(Some(Some(self.state_in(&response.headers)?))),
            Answer::Missing => Ok(None),
            // It has no first byte. A server without ranges sends all of it, which may be much.
            Answer::Empty | Answer::TooLarge => Ok(Some(None)),
            Answer::NotMet => Err(S3.stranger(&client.config.server).into()),
        }
    }

    /// The state of an object.
    pub(crate) async fn state(&self, name: &str, deadline: Moment) -> Result<Option<State>, Failure> {
        match self.peek(name, deadline).await? {
            Some(None) => Ok(self.find(name, deadline).await?.map(|found| found.state)),
            Some(state) => Ok(state),
            None => Ok(None),
        }
    }

    fn state_in(&self, headers: &Headers) -> Result<State, Failure> {
        State::of(headers).ok_or_else(|| S3.stranger(&self.shared.client.config.server).into())
    }

    pub(crate) async fn read(&self, key: &str, deadline: Moment) -> Result<Option<Found>> {
        Ok(self.find(&self.object(key)?, deadline).await?)
    }

    /// Sets the value of a key without a condition.
    pub(crate) async fn write(&self, key: &str, value: &[u8], deadline: Moment) -> Result<()> {
        match self.put(&self.object(key)?, value, Expect::Anything, deadline).await? {
            Guarded::Done => Ok(()),
            Guarded::NotMet(_) => Err(S3.stranger(&self.shared.client.config.server)),
        }
    }

    fn deadline(&self) -> Moment {
        self.shared.client.deadline()
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncBucket for S3Bucket<H, C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.read(key, self.deadline()).await?.map(|found| found.value))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.write(key, value, self.deadline()).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let client = &self.shared.client;
        let name = self.object(key)?;
        let call = Call {
            method: Method::Delete,
            name: &name,
            query: "",
            headers: &[],
            body: b"",
            repeat: Repeat::Never,
            max_answer: MAX_ANSWER,
            deadline: client.deadline(),
        };
        match client.call(&call).await? {
            Answer::Done(_) | Answer::Missing => Ok(()),
            Answer::NotMet | Answer::Empty | Answer::TooLarge => {
                Err(S3.unknown(&client.config.server, "its answer is not one of S3"))
            }
        }
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.peek(&self.object(key)?, self.deadline()).await?.is_some())
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.page("", cursor).await
    }

    async fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.page(prefix, cursor).await
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let Shared { client, increments, .. } = &*self.shared;
        let name = self.object(key)?;
        let add = async |deadline| self.add(&name, delta, floor, deadline).await;
        increments.take(name.as_bytes(), &client.clock, client.config.time_limit, add).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(snapshot(self.read(key, self.deadline()).await?))
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let (name, deadline) = (self.object(key)?, self.deadline());
        let seen = match expected {
            Version::Absent => None,
            Version::Tag(version) => State::in_version(version),
            Version::Number(_) => None,
        };
        let expect = match &seen {
            // A tag is that of a content. That nothing wrote the same content again, the condition of the write cannot tell.
            Some(seen) if self.state(&name, deadline).await?.as_ref() == Some(seen) => Expect::State(seen),
            None if *expected == Version::Absent => Expect::Absent,
            // Another state, or no version of this store's.
            _ => return Ok(Swap::Conflict(snapshot(self.find(&name, deadline).await?))),
        };
        match self.put(&name, value, expect, deadline).await? {
            Guarded::Done => Ok(Swap::Done),
            Guarded::NotMet(now) => Ok(Swap::Conflict(snapshot(now))),
        }
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.read_all(keys).await
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.write_all(pairs).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.delete_all(keys).await
    }

    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        if lifetime.is_some() {
            return Err(no_lifetimes());
        }
        Ok(matches!(self.put(&self.object(key)?, value, Expect::Absent, self.deadline()).await?, Guarded::Done))
    }

    async fn set_expiring(&self, _key: &str, _value: &[u8], _lifetime: Duration) -> Result<()> {
        Err(no_lifetimes())
    }
}

impl<H: HttpClient + 'static, C: AsyncClock + 'static> Bucket for S3Bucket<H, C> {
    kvfuse_core::bucket_at_once!();

    fn get_body(&self, key: &str) -> Result<Option<BodyReader>> {
        at_once(self.body(key))
    }
}

impl<H: HttpClient, C: AsyncClock> S3Bucket<H, C> {
    async fn body(&self, key: &str) -> Result<Option<BodyReader>> {
        let client = &self.shared.client;
        let wrong = || S3.stranger(&client.config.server);
        let streaming = match client.stream(&self.reading(&self.object(key)?, &[], self.deadline())).await? {
            Answer::Done(streaming) => streaming,
            Answer::Missing => return Ok(None),
            Answer::NotMet | Answer::Empty | Answer::TooLarge => return Err(wrong()),
        };
        let size = streaming.headers.get("content-length").and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        Ok(Some(BodyReader { size, stream: streaming.body.hand_on() }))
    }
}

fn snapshot(found: Option<Found>) -> Snapshot {
    let Some(Found { value, state }) = found else { return Snapshot::ABSENT };
    Snapshot { value: Some(value), version: state.version() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_of_one_state_is_one() {
        for write in ["00ff", "Sun, 06 Nov 1994 08:49:37 GMT", ""] {
            let state = State { write: write.into(), tag: "\"a-2\"".into() };
            let Version::Tag(version) = state.version() else { panic!("it is a tag") };
            assert_eq!(State::in_version(&version), Some(state));
        }
        for version in ["", "\"a\"", "x *", "x ", "x \"a\", \"b", "x \"a\r\nx: y\""] {
            assert_eq!(State::in_version(version.as_bytes()), None, "{version:?}");
        }
        assert_eq!(State::in_version(b"x \"\xff\""), None);
    }
}
