//! Increments.
//!
//! Without a floor: `INCRBY`, whose counters are those of the contract. With a floor (for generations that count in
//! `u64`): a script that adds, and subtracts again if the sum is too low. No other client sees what is in between. Lua
//! computes in doubles, which cannot represent every counter, but their sign is right. So the script only supports the
//! floor 0, and returns the sum as text. If scripts are not allowed, and for any other floor: `WATCH`, `GET`, and
//! `INCRBY` in a transaction.

use crate::error::{self, Failure};
use crate::node::MAIN;
use crate::protocol::{Reply, Request};
use crate::store::{RedisBucket, value, watch_and_read};
use crate::swaps::{contended, executed, last};
use kvfuse_core::{AsyncBucket, Kind, Result, counter};
use kvfuse_transport::clock::{AsyncClock, Backoff};
use kvfuse_transport::sockets::Network;

/// Returns the sum as text, or, if it would be below 0, an array with the current value of the counter, if any.
const ADD_FROM_ZERO: &[u8] = b"\
local before = redis.call('GET', KEYS[1]) \
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1]) \
if type(sum) == 'table' then return sum end \
if sum >= 0 then return redis.call('GET', KEYS[1]) end \
if before then redis.call('INCRBY', KEYS[1], ARGV[2]) else redis.call('DEL', KEYS[1]) end \
return {before}";

const ADD_FIELD_FROM_ZERO: &[u8] = b"\
local before = redis.call('HGET', KEYS[1], ARGV[3]) \
local sum = redis.pcall('HINCRBY', KEYS[1], ARGV[3], ARGV[1]) \
if type(sum) == 'table' then return sum end \
if sum >= 0 then return redis.call('HGET', KEYS[1], ARGV[3]) end \
if before then redis.call('HINCRBY', KEYS[1], ARGV[3], ARGV[2]) else redis.call('HDEL', KEYS[1], ARGV[3]) end \
return {before}";

impl<N: Network + 'static, C: AsyncClock + 'static> RedisBucket<N, C> {
    pub(crate) async fn add(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let error = match self.add_once(key, delta, floor).await {
            Err(error) if error.kind() == Kind::InvalidArgument => error,
            added => return added,
        };
        // The contract's error includes the value of the counter, which Redis' error does not. If others have changed the
        // counter so that the sum would now be valid, Redis' error stands.
        match self.get(key).await.map(|before| counter::add(before.as_deref(), delta, floor)) {
            Ok(Err(told)) => Err(told),
            _ => Err(error),
        }
    }

    async fn add_once(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        if floor == i64::MIN {
            let request = self.space.on_key("INCRBY", "HINCRBY", key, &[&counter::format(delta)]);
            return match self.client.tell(self.space.route(key), &request).await? {
                Reply::Integer(sum) => Ok(sum),
                _ => Err(error::unexpected("INCRBY")),
            };
        }
        if let (0, Some(back), false) = (floor, delta.checked_neg(), self.client.no_scripts.get())
            && let Some(sum) = self.add_by_script(key, delta, back).await?
        {
            return Ok(sum);
        }
        self.add_watched(key, delta, floor).await
    }

    /// `None` if it turns out that scripts are not allowed.
    async fn add_by_script(&self, key: &str, delta: i64, back: i64) -> Result<Option<i64>> {
        let redis_key = self.space.key(key);
        let (delta_text, back) = (counter::format(delta), counter::format(back));
        let request = if self.is_hash() {
            Request::of(&[b"EVAL", ADD_FIELD_FROM_ZERO, b"1", &redis_key, &delta_text, &back, key.as_bytes()])
        } else {
            Request::of(&[b"EVAL", ADD_FROM_ZERO, b"1", &redis_key, &delta_text, &back])
        };
        match self.client.tell_all(self.space.route(key), &request).await?.into_iter().next() {
            Some(Reply::Error(line)) if error::denies_command(&line) => {
                self.client.no_scripts.set(true);
                Ok(None)
            }
            Some(Reply::Error(line)) => Err(error::from_reply(&line)),
            Some(Reply::Array(before)) => {
                let before = before.into_iter().next().and_then(Reply::into_bytes);
                // The script found the sum below the floor. Computing it again produces the error that says so.
                counter::add(before.as_deref(), delta, 0).map(Some)
            }
            Some(Reply::Bulk(sum)) => counter::parse(&sum).map(Some).ok_or_else(|| error::unexpected("EVAL")),
            _ => Err(error::unexpected("EVAL")),
        }
    }

    async fn add_watched(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let redis_key = self.space.key(key);
        let mut transaction = Request::of(&[b"MULTI"]);
        transaction.append(&self.space.on_key("INCRBY", "HINCRBY", key, &[&counter::format(delta)]));
        transaction.command(&[b"EXEC"]);
        let read: &[&[u8]] =
            if self.is_hash() { &[b"HGET", &redis_key, key.as_bytes()] } else { &[b"GET", &redis_key] };
        let deadline = self.client.deadline();
        let mut backoff = Backoff::new(self.client.clock.now().0);
        loop {
            let sum = self.client.attempt(
                self.space.route(key),
                |_| MAIN,
                deadline,
                async |link| {
                    let request = watch_and_read(link.watches, &redis_key, read);
                    link.watches = true;
                    link.holds = None;
                    let current = value(last(link.ask(&request, deadline).await?)?).map_err(Failure::Refused)?;
                    counter::add(current.as_deref(), delta, floor).map_err(Failure::Refused)?;
                    link.watches = false;
                    Ok(executed(link.tell(&transaction, deadline).await?)?.map(last))
                },
            );
            match sum.await? {
                Some(Ok(Reply::Integer(sum))) => return Ok(sum),
                Some(_) => return Err(error::unexpected("EXEC")),
                None if backoff.wait_async(&self.client.clock, deadline).await => {}
                None => return Err(contended()),
            }
        }
    }
}
