//! What a bucket with bounded staleness asks its store where calls wait beside each other. The rules are those of
//! [`recent`](crate::recent), with one more: only an answer that was asked for after everything known of its key was learnt
//! may be kept. Of any other one it is not known which of the two is newer, so nothing is kept. So no read returns something older
//! than the one before, in whichever order the answers come.

use crate::recent::Recent;
use crate::seen::State;
use kvfuse_transport::clock::Moment;
use std::cell::Cell;
use std::rc::Rc;

/// A call about one key, on its way.
pub struct Asked {
    pub space: Rc<str>,
    pub key: Box<str>,
    /// Whether nothing was learnt of the key since the call began.
    pub is_newest: Cell<bool>,
}

/// That call, in the hands of who waits for it.
pub struct Asking<'a> {
    recent: &'a Recent,
    call: Rc<Asked>,
    began: Moment,
    writes: bool,
}

impl<'a> Asking<'a> {
    /// Begins a call that reads.
    pub fn read(recent: &'a Recent, space: &Rc<str>, key: &str, began: Moment) -> Self {
        let call = Rc::new(Asked { space: space.clone(), key: key.into(), is_newest: Cell::new(true) });
        recent.asked().push(call.clone());
        Self { recent, call, began, writes: false }
    }

    /// Begins a call that writes. Once it has ended, with whatever outcome, nothing from before is returned.
    pub fn write(recent: &'a Recent, space: &Rc<str>, key: &str, began: Moment) -> Self {
        let mut asking = Self::read(recent, space, key, began);
        asking.writes = true;
        asking
    }

    /// The call has ended, and says what the state of the key was.
    pub fn keep(mut self, state: State) {
        if self.call.is_newest.get() {
            self.recent.keep(&self.call.space, &self.call.key, self.began, state);
            self.writes = false;
        } else {
            self.recent.forget(&self.call.space, &self.call.key);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.recent.asked().retain(|other| !Rc::ptr_eq(other, &self.call));
        // A write may have taken effect at any moment until now.
        if self.writes {
            self.recent.forget(&self.call.space, &self.call.key);
        }
    }
}
