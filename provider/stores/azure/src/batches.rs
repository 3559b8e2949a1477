//! Many keys at once, in as few requests as the service accepts.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, Content, MAX_ANSWER, MAX_QUERY, Repeat};
use crate::error::AZURE;
use crate::layout;
use crate::listing::{Asked, Query};
use crate::multipart::Changes;
use crate::protocol::Entity;
use crate::store::AzureBucket;
use kvfuse_core::limits::PAGE_KEYS;
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, Method};
use std::collections::{HashMap, HashSet};

/// The most keys of a query. A filter may have 15 comparisons: the partition, both ends of the range, and these.
const READS: usize = 12;
/// The most characters of the names in a query, so that its URL does not become too long for what is in between.
const NAMES: usize = 4000;
/// The most writes of an entity group transaction.
const WRITES: usize = 100;
/// The most bytes of one. The service takes 4 MiB.
const BYTES: usize = 4_000_000;

impl<H: AsyncHttpClient, C: AsyncClock> AzureBucket<H, C> {
    /// What `of` makes of each key's entity; `None` for a key that does not exist. With `select`, it gets only these
    /// properties, of which `RowKey` has to be one.
    pub(crate) async fn read_all<T>(
        &self,
        keys: &[&str],
        select: &str,
        of: impl Fn(Entity) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        let rows: Vec<String> = keys.iter().map(|key| layout::row_key(key)).collect();
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for row in &rows {
            let uses = uses.entry(row).or_default();
            *uses = uses.saturating_add(1);
        }
        let asked = self.now();
        let mut found = match keys {
            // Much the cheapest request.
            [key] => {
                let found = self.find(key, select, self.shared.client.deadline()).await?;
                rows.iter().cloned().zip(found.map(|found| found.entity)).collect()
            }
            _ => self.fetch(&rows, select, self.shared.client.deadline()).await?,
        };
        let mut values = Vec::with_capacity(keys.len());
        for row in &rows {
            let uses = uses.entry(row).or_default();
            *uses = uses.saturating_sub(1);
            let entity = if *uses == 0 { found.remove(row) } else { found.get(row).cloned() };
            let ended = entity.as_ref().map_or(Ok(false), |entity| Self::had_ended(entity, asked))?;
            values.push(entity.filter(|_| !ended).map(&of).transpose()?);
        }
        Ok(values)
    }

    /// The entities with these rows, by their rows. They are asked for in order, each query within the range of its rows: the
    /// service looks at what is between them.
    async fn fetch(&self, rows: &[String], select: &str, deadline: Moment) -> Result<HashMap<String, Entity>> {
        let wrong = || AZURE.stranger(&self.shared.client.config.server);
        let mut sorted: Vec<&str> = rows.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut rest = sorted.as_slice();
        let mut found = HashMap::new();
        while let [first, ..] = rest {
            let mut length: usize = 0;
            let fitting = rest.iter().take(READS).take_while(|row| {
                length = length.saturating_add(row.len());
                length <= NAMES
            });
            let (part, after) = rest.split_at_checked(fitting.count().max(1)).unwrap_or((rest, &[]));
            let any: Vec<String> = part.iter().map(|row| format!("RowKey eq '{row}'")).collect();
            let last = part.last().unwrap_or(first);
            let among = format!("RowKey ge '{first}' and RowKey le '{last}' and ({})", any.join(" or "));
            let query = Query { rows: &among, select, most: PAGE_KEYS, max_answer: MAX_QUERY, deadline };
            let mut open: HashSet<&str> = part.iter().copied().collect();
            let mut token = None;
            loop {
                let Asked::Found(entities, next) = self.ask(&query, token.as_ref()).await? else { return Err(wrong()) };
                for entity in entities {
                    let row = entity.row.clone().filter(|row| open.remove(row.as_str())).ok_or_else(wrong)?;
                    found.insert(row, entity);
                }
                token = next;
                if token.is_none() || open.is_empty() {
                    break;
                }
            }
            rest = after;
        }
        Ok(found)
    }

    pub(crate) async fn write_all(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let client = &self.shared.client;
        // Nothing is written if one of them cannot be.
        for (key, value) in pairs {
            layout::check_size(&self.partition, key, value)?;
        }
        // A transaction with an entity twice is refused. The last pair counts.
        let mut seen = HashSet::new();
        let mut unique: Vec<_> = pairs.iter().rev().filter(|(key, _)| seen.insert(*key)).collect();
        unique.reverse();
        let (deadline, end) = (client.deadline(), self.end(client.config.life));
        let mut changes = Changes::new();
        for (key, value) in unique {
            let json = layout::entity(&self.partition, key, value, &(self.shared.ambient.random)(), end)?;
            let url = client.url(&client.entity(&self.partition, &layout::row_key(key)));
            if changes.count >= WRITES || (changes.count > 0 && changes.length_with(&url, &json) > BYTES) {
                self.put_all(std::mem::replace(&mut changes, Changes::new()), deadline).await?;
            }
            changes.put(&url, &json);
        }
        if changes.count > 0 { self.put_all(changes, deadline).await } else { Ok(()) }
    }

    async fn put_all(&self, changes: Changes, deadline: Moment) -> Result<()> {
        match self.change(changes, deadline).await? {
            Answer::Done(_) => Ok(()),
            _ => Err(self.no_answer_to_changes()),
        }
    }

    pub(crate) async fn delete_all(&self, keys: &[&str]) -> Result<()> {
        let client = &self.shared.client;
        let deadline = client.deadline();
        let mut seen = HashSet::new();
        let rows = keys.iter().map(|key| layout::row_key(key));
        let unique: Vec<String> = rows.filter(|row| seen.insert(row.clone())).collect();
        for part in unique.chunks(WRITES) {
            let mut rows = part.to_vec();
            let mut looked = false;
            while !rows.is_empty() {
                let mut changes = Changes::new();
                for row in &rows {
                    changes.delete(&client.url(&client.entity(&self.partition, row)));
                }
                match self.change(changes, deadline).await? {
                    Answer::Done(_) => break,
                    // One of them does not exist, and nothing was deleted. Where one is missing, others may be.
                    Answer::Missing(Some(at)) if at < rows.len() => {
                        rows.remove(at);
                        if !looked {
                            let found = self.fetch(&rows, "RowKey", deadline).await?;
                            rows.retain(|row| found.contains_key(row));
                            looked = true;
                        }
                    }
                    _ => return Err(self.no_answer_to_changes()),
                }
            }
        }
        Ok(())
    }

    async fn change(&self, changes: Changes, deadline: Moment) -> Result<Answer> {
        let count = changes.count;
        let call = Call {
            method: Method::Post,
            path: "/$batch",
            query: "",
            if_match: None,
            content: Content::Changes(&changes.finish(), count),
            repeat: Repeat::Never,
            max_answer: MAX_ANSWER,
            deadline,
        };
        Ok(self.shared.client.call(&call).await?)
    }

    fn no_answer_to_changes(&self) -> Error {
        AZURE.unknown(&self.shared.client.config.server, "its answer is not one of Azure Tables")
    }
}
