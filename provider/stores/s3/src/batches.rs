//! Many keys. S3 reads and writes one object with a request, and deletes up to 1000.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, MAX_ANSWER, Repeat};
use crate::error::S3;
use crate::protocol;
use crate::store::S3Bucket;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use kvfuse_core::Result;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, Method};
use md5::{Digest, Md5};
use std::collections::{HashMap, HashSet};

/// How many requests of a batch wait beside each other, where calls do. Elsewhere each is over before the next one begins.
const TOGETHER: usize = 16;
/// The most objects that one request deletes.
const DELETES: usize = 1000;

impl<H: AsyncHttpClient, C: AsyncClock> S3Bucket<H, C> {
    pub(crate) async fn read_all(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        // Each key is asked for once, and its last use has the value itself.
        let mut uses: HashMap<&str, usize> = HashMap::new();
        let mut unique = Vec::new();
        for key in keys {
            let uses = uses.entry(key).or_default();
            if *uses == 0 {
                unique.push(*key);
            }
            *uses = uses.saturating_add(1);
        }
        let mut read: HashMap<&str, Vec<u8>> = HashMap::new();
        for part in unique.chunks(TOGETHER) {
            // Each request has the time of a call of its own: many take longer than one.
            let found = part.iter().map(|key| self.read(key, self.shared.client.deadline()));
            for (key, found) in part.iter().zip(join_all(found).await) {
                read.extend(found?.map(|found| (*key, found.value)));
            }
        }
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let left = uses.entry(key).or_default();
            *left = left.saturating_sub(1);
            values.push(if *left == 0 { read.remove(key) } else { read.get(key).cloned() });
        }
        Ok(values)
    }

    pub(crate) async fn write_all(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        // Nothing is written if one of them cannot be.
        pairs.iter().try_for_each(|(key, _)| self.object(key).map(drop))?;
        // The last pair counts.
        let mut seen = HashSet::new();
        let mut unique: Vec<_> = pairs.iter().rev().filter(|(key, _)| seen.insert(*key)).collect();
        unique.reverse();
        for part in unique.chunks(TOGETHER) {
            let written = part.iter().map(|(key, value)| self.write(key, value, self.shared.client.deadline()));
            join_all(written).await.into_iter().collect::<Result<()>>()?;
        }
        Ok(())
    }

    pub(crate) async fn delete_all(&self, keys: &[&str]) -> Result<()> {
        let names = keys.iter().map(|key| self.object(key)).collect::<Result<Vec<_>>>()?;
        let mut seen = HashSet::new();
        let unique: Vec<&str> = names.iter().map(String::as_str).filter(|name| seen.insert(*name)).collect();
        for part in unique.chunks(DELETES) {
            self.delete_some(part.to_vec(), self.shared.client.deadline()).await?;
        }
        Ok(())
    }

    async fn delete_some(&self, mut names: Vec<&str>, deadline: Moment) -> Result<()> {
        let client = &self.shared.client;
        let wrong = || S3.unknown(&client.config.server, "its answer is not one of S3");
        let mut backoff = client.backoff();
        loop {
            let body = protocol::delete(names.iter().copied());
            let digest = STANDARD.encode(Md5::digest(&body));
            let call = Call {
                method: Method::Post,
                name: "",
                query: "delete=",
                headers: &[("content-md5", &digest), ("content-type", "application/xml")],
                body: body.as_bytes(),
                repeat: Repeat::Never,
                max_answer: MAX_ANSWER,
                deadline,
            };
            let Answer::Done(response) = client.call(&call).await? else { return Err(wrong()) };
            let failed = protocol::not_deleted(&response.body).ok_or_else(wrong)?;
            // What was too much at once is asked for again; anything else ends the batch.
            let mut busy = None;
            for (_, refusal) in &failed {
                busy = Some(client.refused(refusal, deadline).await?).or(busy);
            }
            let Some(busy) = busy else { return Ok(()) };
            let failed: HashSet<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
            names.retain(|name| failed.contains(name));
            if names.is_empty() {
                return Err(wrong());
            }
            if !backoff.wait_async(&client.clock, deadline).await {
                return Err(busy);
            }
        }
    }
}
