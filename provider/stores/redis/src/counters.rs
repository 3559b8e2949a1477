//! Increments.
//!
//! Without a floor: `INCRBY`, whose counters are the contract's. With one (generations that count in `u64`): a script
//! that adds and takes back what went below, one moment for everybody else. Lua computes in doubles, which do not hold
//! every counter, but their sign is right: so the script decides about the floor 0 only, and gives the sum as text. Where
//! scripts are denied, and for any other floor: `WATCH`, `GET`, the sum computed here, and `INCRBY` in a transaction.

use crate::cas::{contended, executed, last};
use crate::engine::MAIN;
use crate::error::{self, Failure};
use crate::protocol::{Reply, Request};
use crate::store::{RedisBucket, value, watch_and_read};
use kvfuse_core::{Bucket, Kind, Result, counter};
use kvfuse_transport::clock::{Backoff, Clock};
use kvfuse_transport::sockets::Network;

/// Gives the sum as text, or, if it would be below 0, an array of what the counter is: nothing, or its text.
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

impl<N: Network, C: Clock> RedisBucket<N, C> {
    pub fn add(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.add_once(key, delta, floor).map_err(|error| {
            if error.kind() != Kind::InvalidArgument {
                return error;
            }
            // Redis does not say what the counter is; the contract's error does. If others changed it meanwhile so that
            // the sum would be right now, Redis' reason stands.
            match self.get(key).map(|before| counter::add(before.as_deref(), delta, floor)) {
                Ok(Err(told)) => told,
                _ => error,
            }
        })
    }

    fn add_once(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        if floor == i64::MIN {
            let request = self.space.on_key("INCRBY", "HINCRBY", key, &[&counter::format(delta)]);
            return match self.engine.tell(&request)? {
                Reply::Integer(sum) => Ok(sum),
                _ => Err(error::unexpected("INCRBY")),
            };
        }
        if let (0, Some(back), false) = (floor, delta.checked_neg(), self.engine.no_scripts.get())
            && let Some(sum) = self.add_by_script(key, delta, back)?
        {
            return Ok(sum);
        }
        self.add_watched(key, delta, floor)
    }

    /// `None` if scripts turn out to be denied.
    fn add_by_script(&self, key: &str, delta: i64, back: i64) -> Result<Option<i64>> {
        let redis_key = self.space.key(key);
        let (delta_text, back) = (counter::format(delta), counter::format(back));
        let request = if self.is_hash() {
            Request::of(&[b"EVAL", ADD_FIELD_FROM_ZERO, b"1", &redis_key, &delta_text, &back, key.as_bytes()])
        } else {
            Request::of(&[b"EVAL", ADD_FROM_ZERO, b"1", &redis_key, &delta_text, &back])
        };
        match self.engine.tell_all(&request)?.into_iter().next() {
            Some(Reply::Error(line)) if error::denies_command(&line) => {
                self.engine.no_scripts.set(true);
                Ok(None)
            }
            Some(Reply::Error(line)) => Err(error::from_reply(&line)),
            Some(Reply::Array(before)) => {
                let before = before.into_iter().next().and_then(Reply::into_bytes);
                // The script found the sum below the floor; computing it again gives the error that says so.
                counter::add(before.as_deref(), delta, 0).map(Some)
            }
            Some(Reply::Bulk(sum)) => counter::parse(&sum).map(Some).ok_or_else(|| error::unexpected("EVAL")),
            _ => Err(error::unexpected("EVAL")),
        }
    }

    fn add_watched(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let redis_key = self.space.key(key);
        let mut transaction = Request::of(&[b"MULTI"]);
        transaction.append(&self.space.on_key("INCRBY", "HINCRBY", key, &[&counter::format(delta)]));
        transaction.command(&[b"EXEC"]);
        let read: &[&[u8]] =
            if self.is_hash() { &[b"HGET", &redis_key, key.as_bytes()] } else { &[b"GET", &redis_key] };
        let deadline = self.engine.deadline();
        let mut backoff = Backoff::new(self.engine.clock.now().0);
        loop {
            let sum = self.engine.attempt(MAIN, deadline, |link| {
                let request = watch_and_read(link.watches, &redis_key, read);
                link.watches = true;
                link.holds = None;
                let current = value(last(link.ask(&request, deadline)?)?).map_err(Failure::Refused)?;
                counter::add(current.as_deref(), delta, floor).map_err(Failure::Refused)?;
                link.watches = false;
                Ok(executed(link.tell(&transaction, deadline)?)?.map(last))
            })?;
            match sum {
                Some(Ok(Reply::Integer(sum))) => return Ok(sum),
                Some(_) => return Err(error::unexpected("EXEC")),
                None if backoff.wait(&self.engine.clock, deadline) => {}
                None => return Err(contended()),
            }
        }
    }
}
