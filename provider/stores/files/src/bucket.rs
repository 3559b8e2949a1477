//! The contract's bucket on a tree.

use crate::anchor::{self, Anchor};
use crate::body::FileBody;
use crate::config::Config;
use crate::error::failed;
use crate::flaw::Flaw;
use crate::ids::Ids;
use crate::inside::Inside;
use crate::item::Outcome;
use crate::name::bucket_directory;
use crate::record::NEVER;
use crate::room::{Room, Slot};
use crate::tree::Tree;
use crate::watch::FileWatch;
use crate::write::{Change, Name};
use kvfuse_core::{Body, BodyReader, Bucket, Error, Kind, Page, Result, Snapshot, Swap, Version, Watch, watch};
use kvfuse_transport::files::{Directory, FileError};
use std::rc::Rc;
use std::time::Duration;

pub struct FileBucket<D: Directory> {
    root: Rc<D>,
    /// Its directory's name.
    name: Rc<str>,
    config: Config,
    ids: Rc<Ids>,
    tree: Slot<D>,
    room: Rc<Room<D>>,
}

impl<D: Directory> FileBucket<D> {
    pub fn new(root: Rc<D>, bucket: &str, config: Config, ids: Rc<Ids>, room: Rc<Room<D>>) -> Self {
        Self::in_directory(root, &bucket_directory(bucket), config, ids, room)
    }

    /// The bucket whose directory has this name.
    pub fn in_directory(root: Rc<D>, name: &str, config: Config, ids: Rc<Ids>, room: Rc<Room<D>>) -> Self {
        Self { root, name: name.into(), config, ids, tree: room.slot(), room }
    }

    fn fail(&self, error: FileError) -> Error {
        failed(&format!("the bucket's directory {}", self.name), error)
    }

    fn tree(&self, anchor: Anchor) -> Tree<D> {
        Tree::new(self.root.clone(), self.name.clone(), anchor, self.config, self.ids.clone(), self.room.shared.clone())
    }

    /// Runs `action` on the bucket's tree; `None` if nothing was ever written to the bucket.
    pub fn reading<T>(&self, action: impl FnOnce(&mut Tree<D>) -> Result<T>) -> Result<Option<T>> {
        let mut tree = self.tree.borrow_mut();
        if tree.is_none() {
            let directory = Inside::new(self.root.clone(), self.name.clone());
            let Some(anchor) = anchor::read(&directory)? else { return Ok(None) };
            let persisted = anchor.persisted;
            let mut new = self.tree(anchor);
            if !persisted && !self.config.has(Flaw::AnchorNotSynced) {
                // Not kept: a writer has to persist it first.
                return action(&mut new).map(Some);
            }
            *tree = Some(new);
        }
        let Some(tree) = tree.as_mut() else { return Ok(None) };
        self.room.enter(tree);
        action(tree).map(Some)
    }

    /// Runs `action` on the bucket's tree, which is created if there is none.
    pub fn writing<T>(&self, action: impl FnOnce(&mut Tree<D>) -> Result<T>) -> Result<T> {
        let mut slot = self.tree.borrow_mut();
        let tree = match &mut *slot {
            Some(tree) => tree,
            none => {
                let directory = Inside::new(self.root.clone(), self.name.clone());
                let anchor = match anchor::read(&directory)? {
                    Some(anchor) if anchor.persisted => anchor,
                    _ => {
                        match self.root.create_directory(&self.name) {
                            Ok(()) | Err(FileError::Exists) => {}
                            Err(error) => return Err(self.fail(error)),
                        }
                        anchor::make(&directory, &*self.root, self.config, &self.room.shared)?
                    }
                };
                none.insert(self.tree(anchor))
            }
        };
        self.room.enter(tree);
        action(tree)
    }

    pub fn change(&self, key: &str, change: Change<'_>) -> Result<Outcome> {
        self.writing(|tree| tree.change(Name::new(tree, key), change))
    }

    /// Makes changes of several keys; of those of one key, in the order given.
    pub fn change_many<'a>(&self, changes: impl Iterator<Item = (&'a str, Change<'a>)>) -> Result<()> {
        self.writing(|tree| {
            let mut sorted: Vec<_> = changes.map(|(key, change)| (Name::new(tree, key), change)).collect();
            sorted.sort_by_key(|(name, _)| name.hash);
            tree.write_sorted(&sorted)
        })
    }

    /// When a value ends that begins to live now.
    fn end_of(&self, lifetime: Duration) -> u64 {
        Inside::new(self.root.clone(), self.name.clone()).end_of(lifetime)
    }

    /// Makes a swap, and returns whether it took place.
    fn exchange(&self, key: &str, swap: Change<'_>) -> Result<bool> {
        match self.change(key, swap)? {
            Outcome::Done => Ok(true),
            Outcome::Conflict => Ok(false),
            Outcome::Counter(_) | Outcome::Refused(_) | Outcome::Open(_) | Outcome::Late => Err(unexpected()),
        }
    }

    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>> {
        Ok(self.reading(|tree| tree.get(Name::new(tree, key)))?.flatten())
    }
}

fn unexpected() -> Error {
    Error::new(Kind::Other, "internal error: unexpected outcome of a change")
}

impl<D: Directory> Bucket for FileBucket<D> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get(key)?.map(|(value, _)| value))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.change(key, Change::Set { value, end: NEVER }).map(drop)
    }

    fn delete(&self, key: &str) -> Result<()> {
        // What has ended is deleted as well: a swap that began before the end may be under way.
        if self.reading(|tree| tree.has_entry(&Name::new(tree, key)))? != Some(true) {
            return Ok(());
        }
        self.change(key, Change::Delete).map(drop)
    }

    fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.reading(|tree| tree.end(Name::new(tree, key)))?.flatten().is_some())
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        Ok(self.reading(|tree| tree.list(cursor))?.unwrap_or_default())
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        match self.change(key, Change::Increment { delta, floor })? {
            Outcome::Counter(sum) => Ok(sum),
            Outcome::Refused(error) => Err(error),
            Outcome::Done | Outcome::Conflict | Outcome::Open(_) | Outcome::Late => Err(unexpected()),
        }
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(self.get(key)?.map_or(Snapshot::ABSENT, |(value, version)| Snapshot {
            value: Some(value),
            version: Version::Number(version),
        }))
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let expected = match expected {
            Version::Absent => 0,
            Version::Number(number) if *number != 0 => *number,
            // No version of this store.
            _ => return Ok(Swap::Conflict(self.snapshot(key)?)),
        };
        match self.exchange(key, Change::Swap { expected, value, end: NEVER })? {
            true => Ok(Swap::Done),
            false => Ok(Swap::Conflict(self.snapshot(key)?)),
        }
    }

    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        let end = lifetime.map_or(NEVER, |lifetime| self.end_of(lifetime));
        self.exchange(key, Change::Swap { expected: 0, value, end })
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let values = self.reading(|tree| {
            let get = |key: &&str| Ok(tree.get(Name::new(tree, key))?.map(|(value, _)| value));
            keys.iter().map(get).collect::<Result<Vec<_>>>()
        })?;
        Ok(values.unwrap_or_else(|| vec![None; keys.len()]))
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.change_many(pairs.iter().map(|(key, value)| (*key, Change::Set { value, end: NEVER })))
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.change_many(keys.iter().map(|key| (*key, Change::Delete)))
    }

    fn set_body(&self, key: &str, body: &mut dyn Body) -> Result<()> {
        let body = body.as_any().downcast_mut::<FileBody<D>>().ok_or_else(|| {
            Error::unsupported("this value was created in another store; create it in the store that is to keep it")
        })?;
        body.finish(self.config.blob, |content| match content {
            Ok(bytes) => self.set(key, bytes),
            Err(moving) => self.change(key, Change::Place(moving)).map(drop),
        })
    }

    fn get_body(&self, key: &str) -> Result<Option<BodyReader>> {
        Ok(self.reading(|tree| tree.get_body(Name::new(tree, key)))?.flatten())
    }

    fn watch(&self, prefix: &str, from: watch::From<'_>) -> Result<Box<dyn Watch>> {
        let (root, ids, room) = (self.root.clone(), self.ids.clone(), self.room.clone());
        let bucket = Self::in_directory(root, &self.name, self.config, ids, room);
        Ok(Box::new(FileWatch::new(bucket, prefix, from)?))
    }

    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        let end = self.end_of(lifetime);
        self.change(key, Change::Set { value, end }).map(drop)
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        let ends = self.reading(|tree| {
            keys.iter().map(|key| tree.end(Name::new(tree, key))).collect::<Result<Vec<Option<u64>>>>()
        })?;
        let Some(ends) = ends else { return Ok(vec![None; keys.len()]) };
        let left = |end: Option<u64>| {
            end.filter(|end| *end != NEVER).map(|end| Duration::from_millis(end).saturating_sub(self.root.now()))
        };
        Ok(ends.into_iter().map(left).collect())
    }
}
