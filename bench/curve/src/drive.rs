//! The rounds: every store is filled, then rounds alternate between the stores.

use crate::contender::{Contender, Counts, Open, Shape, scratch};
use anyhow::Result;
use std::fs::File;
use std::path::Path;
use tempfile::TempDir;

/// How long each part takes.
#[derive(Clone, Copy)]
pub struct Pace {
    pub rounds: usize,
    /// Milliseconds per round, operation and store.
    pub round: usize,
    /// Seconds of filling that are timed. The rest is filled in batches.
    pub fill: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rounds: 7, round: 400, fill: 600 }
    }
}

impl Pace {
    /// Enough to see where the curve goes.
    pub fn quick() -> Self {
        Self { rounds: 3, round: 200, fill: 5 }
    }
}

/// What a store costs at one size. Nanoseconds per operation.
#[derive(Clone, Default)]
pub struct Figures {
    pub store: String,
    pub keys: usize,
    pub fill_ordered: f64,
    pub fill_random: f64,
    pub get: f64,
    pub set: f64,
    pub increment: f64,
    /// One get in a fresh instance.
    pub fresh: Option<f64>,
    /// Listing, per key.
    pub list: f64,
    /// The directory in bytes, after filling and after the rounds.
    pub filled: f64,
    pub worked: f64,
    /// Peak memory of a guest in bytes.
    pub memory: Option<usize>,
    /// Host calls per operation.
    pub calls: Vec<(&'static str, Counts)>,
}

/// The operations of the rounds.
const OPERATIONS: [&str; 3] = ["get", "set", "increment"];
/// More than any round has time for.
pub const MANY: usize = 1 << 30;
/// Fresh instances that the median is taken over.
const FRESH: usize = 15;

/// The curve of these stores: for each size, one entry for each store.
///
/// # Errors
/// If a store cannot be opened. A store that fails later panics.
pub fn curve(contenders: &[&dyn Contender], sizes: &[usize], pace: Pace) -> Result<Vec<Figures>> {
    let mut all = Vec::new();
    for keys in sizes {
        all.extend(at(contenders, Shape { keys: *keys, sizes: "100" }, pace)?);
    }
    Ok(all)
}

struct Running<'a> {
    contender: &'a dyn Contender,
    folder: TempDir,
    open: Box<dyn Open>,
    figures: Figures,
    rounds: [Vec<f64>; OPERATIONS.len()],
}

fn at(contenders: &[&dyn Contender], shape: Shape, pace: Pace) -> Result<Vec<Figures>> {
    let mut running = contenders.iter().map(|contender| fill(*contender, shape, pace)).collect::<Result<Vec<_>>>()?;
    // While others are filled, the system may drop the files of the first ones from its memory.
    running.iter().try_for_each(|store| read_all(store.folder.path()))?;
    step(&format!("{} keys: rounds", shape.keys));
    for round in 0..=pace.rounds {
        for (n, operation) in OPERATIONS.iter().enumerate() {
            for store in &mut running {
                let figure = store.open.run(&format!("{operation} {MANY} {}", pace.round))?;
                // The first round warms up.
                if round > 0 {
                    store.rounds[n].push(figure);
                }
            }
        }
    }
    running.into_iter().map(|store| finish(store, shape)).collect()
}

fn fill<'a>(contender: &'a dyn Contender, shape: Shape, pace: Pace) -> Result<Running<'a>> {
    let (name, limit) = (contender.name(), pace.fill * 1000);
    step(&format!("{} keys: filling {name}", shape.keys));
    let mut figures = Figures { store: name.to_string(), keys: shape.keys, ..Figures::default() };
    let ordered = scratch()?;
    figures.fill_ordered = contender.open(ordered.path(), shape)?.run(&format!("fill-ordered 0 {limit}"))?;
    drop(ordered);
    let folder = scratch()?;
    let mut open = contender.open(folder.path(), shape)?;
    figures.fill_random = open.run(&format!("fill-random 0 {limit}"))?;
    figures.filled = size(folder.path())?;
    open.run(&format!("counters 0 {limit}"))?;
    Ok(Running { contender, folder, open, figures, rounds: Default::default() })
}

fn finish(mut store: Running, shape: Shape) -> Result<Figures> {
    let mut figures = store.figures;
    [figures.get, figures.set, figures.increment] = store.rounds.map(median);
    figures.list = store.open.run("list")?;
    figures.worked = size(store.folder.path())?;
    let (contender, folder) = (store.contender, store.folder.path());
    let fresh = (0..FRESH).map(|_| contender.fresh(folder, shape)).collect::<Result<Option<Vec<f64>>>>()?;
    figures.fresh = fresh.map(median);
    let commands = [
        ("get", Some("get 3000")),
        ("set", Some("set 3000")),
        ("increment", Some("increment 3000")),
        ("first get", None),
    ];
    for (name, command) in commands {
        figures.calls.extend(contender.calls(folder, shape, command)?.map(|calls| (name, calls)));
    }
    figures.memory = contender.memory(folder, shape, &["get 50000 2000", "set 50000 2000", "increment 50000 2000"])?;
    Ok(figures)
}

/// # Panics
/// If there are no figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Bytes of the files below a folder.
///
/// # Errors
/// Of the file system.
pub fn size(folder: &Path) -> Result<f64> {
    let mut sum = 0.0;
    each_file(folder, &mut |file| {
        sum += file.metadata()?.len() as f64;
        Ok(())
    })?;
    Ok(sum)
}

/// Reads the files below a folder, so that the system has them in its memory.
fn read_all(folder: &Path) -> Result<()> {
    each_file(folder, &mut |file| {
        std::io::copy(&mut File::open(file)?, &mut std::io::sink())?;
        Ok(())
    })
}

fn each_file(folder: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { each_file(&path, visit)? } else { visit(&path)? }
    }
    Ok(())
}

/// Reports progress.
pub fn step(text: &str) {
    eprintln!("[bench] {text}");
}
