//! The file in which a load keeps its position, so that it can be resumed after an interruption.

use super::feed::Mark;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
struct Kept {
    /// The store that is loaded into.
    store: String,
    /// The number of blocks of the dump that are completely set.
    blocks: u64,
    /// The check of the last of them: no other dump has the same.
    check: String,
}

pub struct Position {
    path: PathBuf,
    store: String,
    begun: Option<Mark>,
}

impl Position {
    pub fn open(path: &Path, store: &str) -> Result<Self> {
        let begun = match std::fs::read(path) {
            Ok(bytes) => Some(parse(path, &bytes, store)?),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Refusal::file(path, reason(&e)).err(),
        };
        Ok(Self { path: path.into(), store: store.into(), begun })
    }

    pub fn mark(&self) -> Option<Mark> {
        self.begun.clone()
    }

    pub fn keep(&self, mark: &Mark) -> Result<()> {
        // The file already has the position that is read again.
        if self.begun.as_ref().is_some_and(|begun| mark.blocks <= begun.blocks) {
            return Ok(());
        }
        let check = mark.check.iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = Kept { store: self.store.clone(), blocks: mark.blocks, check };
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".new");
        let text = serde_json::to_vec(&kept).unwrap_or_default();
        let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, &self.path));
        written.map_err(|e| Box::new(Refusal::file(&self.path, reason(&e))))
    }

    pub fn remove(self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Refusal::file(&self.path, reason(&e)).err(),
            _ => Ok(()),
        }
    }
}

fn parse(path: &Path, bytes: &[u8], store: &str) -> Result<Mark> {
    let refuse = |what: &str| Refusal::new(path.display(), what).with_code(code::REFUSED);
    let Ok(kept) = serde_json::from_slice::<Kept>(bytes) else {
        return refuse("this is not the position of a load").help("remove it to load from the beginning").err();
    };
    if kept.store != store {
        return refuse("this is the position of a load into another store")
            .note(format!("that store is {}, and this one is {store}", kept.store))
            .help("--progress names another file; or remove it to load from the beginning")
            .err();
    }
    let digits = |at: usize| u8::from_str_radix(kept.check.get(2 * at..2 * at + 2).unwrap_or_default(), 16).ok();
    let mut check = [0; 32];
    for (at, byte) in check.iter_mut().enumerate() {
        let Some(digits) = digits(at) else {
            return refuse("this is not the position of a load").help("remove it to load from the beginning").err();
        };
        *byte = digits;
    }
    Ok(Mark { blocks: kept.blocks, check, offset: 0 })
}
