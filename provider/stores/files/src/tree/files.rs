//! The files of a tree: opened even when descriptors run out, and synced so that a sync that failed is not trusted
//! later.

use super::Tree;
use crate::anchor;
use crate::flaw::Flaw;
use crate::name::Node;
use crate::nodelog::{self, NodeState};
use kvfuse_core::{Kind, Result};
use kvfuse_transport::files::{Directory, FileError, Open};

/// Segments that stay open however few descriptors there are.
const FEW: usize = 4;

impl<D: Directory> Tree<D> {
    /// Opens a file; if that fails for lack of descriptors, once more with all others closed. WASI has no code for that
    /// case, so it looks like any input/output error.
    pub fn open_file(&mut self, name: &str, how: Open) -> Result<D::File, FileError> {
        match self.directory.open(name, how) {
            Err(FileError::Io | FileError::TooManyOpen) if self.close_all() => self.directory.open(name, how),
            other => other,
        }
    }

    /// The same for an action that opens files itself and may be done twice.
    pub fn opening<T>(&mut self, action: impl Fn(&Self) -> Result<T>) -> Result<T> {
        match action(self) {
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::QuotaExceeded) && self.close_all() => {
                action(self)
            }
            other => other,
        }
    }

    /// Makes the entries of the bucket's directory survive a power cut.
    pub fn sync_directory(&mut self) -> Result<()> {
        self.opening(|tree| {
            tree.directory.sync().map_err(|error| crate::error::failed("the bucket's directory", error))
        })
    }

    /// Says in the anchor that the bucket is there, as soon as a power cut cannot take what leads to it: the first segment, or
    /// the root's log. An instance that made either may have died before this, or its sync may have failed. `node` is the
    /// one that is written to.
    pub fn note_begun(&mut self, node: Node) -> Result<()> {
        let Some((generation, follows)) = self.segments.get(&node).map(|segment| (segment.generation, segment.follows))
        else {
            return Ok(());
        };
        let first = node == Node::ROOT && generation == 0;
        if !first && self.state_of(Node::ROOT)?.is_past(0) {
            self.opening(|tree| tree.sync_log(Node::ROOT))?;
            self.sync_directory()?;
        } else if node == Node::ROOT {
            if let Some(segment) = self.segments.get_mut(&node) {
                segment.sync()?;
            }
            self.sync_directory()?;
            if !first {
                // Another instance has made it, and not come as far as this.
                let state = NodeState { generation, split: false, seal: follows };
                self.opening(|tree| tree.raise(node, state, false))?;
            }
        } else {
            return Ok(());
        }
        self.opening(|tree| anchor::begun(&tree.directory))?;
        self.begun = true;
        Ok(())
    }

    /// The state of a node, as its log has it.
    pub fn state_of(&mut self, node: Node) -> Result<NodeState> {
        self.opening(|tree| nodelog::read(&tree.directory, &tree.keys, node))
    }

    /// Makes the state in a node's log durable, if there is a log. If a sync of it failed before, the state is appended
    /// again.
    pub fn sync_log(&self, node: Node) -> Result<()> {
        if !self.has_failed(node) {
            return nodelog::sync(&self.directory, node).inspect_err(|_| self.note_failed(node));
        }
        match nodelog::read(&self.directory, &self.keys, node)? {
            state if state == NodeState::default() => Ok(()),
            state => self.raise(node, state, true),
        }
    }

    /// Raises a node's state, so that it survives a power cut. `named` is as in [`nodelog::raise`].
    pub fn raise(&self, node: Node, state: NodeState, named: bool) -> Result<()> {
        let again = self.has_failed(node);
        nodelog::raise(&self.directory, &self.keys, node, state, (named, again))
            .inspect_err(|_| self.note_failed(node))?;
        if again {
            // The failed attempt may have created the log, and the name may not be durable.
            self.directory.sync().map_err(|error| crate::error::failed("the bucket's directory", error))?;
        }
        // It was appended again.
        self.shared.failed.borrow_mut().remove(&self.keys.checks(b'n', node, 0).file());
        Ok(())
    }

    fn has_failed(&self, node: Node) -> bool {
        let failed = &self.shared.failed;
        !self.config.has(Flaw::FailedSyncForgotten) && failed.borrow().contains(&self.keys.checks(b'n', node, 0).file())
    }

    fn note_failed(&self, node: Node) {
        self.shared.failed.borrow_mut().insert(self.keys.checks(b'n', node, 0).file());
    }

    /// Closes the segments that can be opened again, if there are any; sealed ones may be gone. From here on fewer are
    /// kept open.
    fn close_all(&mut self) -> bool {
        let open = self.segments.len();
        self.segments.retain(|_, segment| segment.sealed().is_some());
        // It may have been another error. If few were open, that is no reason to keep fewer.
        if open > FEW {
            self.shared.most_open.set((open / 2).max(FEW).min(self.shared.most_open.get()));
        }
        self.segments.len() < open
    }
}
