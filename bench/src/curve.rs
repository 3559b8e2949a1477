//! The curve over sizes, and its targets.

use crate::counting;
use crate::fused::Fused;
use crate::guests::{Guest, Guests};
use crate::row::{Row, us};
use anyhow::Result;
use kvfuse_curve::contender::{Contender, Native, Peer};
use kvfuse_curve::drive::{Figures, Pace, curve};
use kvfuse_curve::table::thousands;

const KVFUSE: &str = "kvfuse";
const COMPOSED: &str = "kvfuse, composed";
const SQLITE: &str = "SQLite";

/// Above so many keys filling takes many minutes for each store. So fewer stores are filled, and the rest of the keys is
/// put in by batches after so many seconds.
const MANY: usize = 1_000_000;
const BELOW_MANY: [&str; 2] = [COMPOSED, "redb"];
const FILL: usize = 30;

/// Measures it. `native` adds the file store without wasm; `only` is what the names of the stores have to contain.
pub fn measure(guests: &Guests, native: bool, only: &str, sizes: &[usize], pace: Pace) -> Result<Vec<Figures>> {
    counting::install()?;
    let fused = Fused::new(KVFUSE, guests, Guest::OursFlatLean)?;
    let composed = Fused::new(COMPOSED, guests, Guest::OursLean)?;
    let larger = fused.with_memory("kvfuse, memory 512M", "512M");
    let file_store = Native { memory: None };
    let mut contenders: Vec<&dyn Contender> = vec![&fused, &larger, &composed, &Peer::Sqlite, &Peer::Redb];
    if native {
        contenders.push(&file_store);
    }
    contenders.retain(|contender| contender.name().contains(only));
    let (few, many): (Vec<usize>, Vec<usize>) = sizes.iter().partition(|keys| **keys <= MANY);
    let mut all = curve(&contenders, &few, pace)?;
    contenders.retain(|contender| !BELOW_MANY.contains(&contender.name()));
    all.extend(curve(&contenders, &many, Pace { fill: pace.fill.min(FILL), ..pace })?);
    Ok(all)
}

/// The targets at each size, beside SQLite and beside the smallest size.
pub fn targets(all: &[Figures]) -> Vec<Row> {
    let of = |store: &str, keys: usize| all.iter().find(move |entry| entry.store == store && entry.keys == keys);
    let mut rows = Vec::new();
    let mut smallest = None;
    for ours in all.iter().filter(|entry| entry.store == KVFUSE) {
        let keys = thousands(ours.keys);
        let mut at_most = |figure: String, value: f64, limit: f64, target, beside: f64| {
            let told = format!("{} = {:.2} × {}", us(value), value / beside, us(beside));
            rows.push(Row::at_most(figure, told, value, limit, target));
        };
        if let Some(peer) = of(SQLITE, ours.keys) {
            for (name, value, limit) in [
                ("get", ours.get, peer.get),
                ("set", ours.set, peer.set),
                ("increment", ours.increment, peer.increment),
                ("fill in key order", ours.fill_ordered, peer.fill_ordered),
                ("fill in random order", ours.fill_random, peer.fill_random),
            ] {
                at_most(format!("{name}, {keys} keys"), value, limit, "as fast as SQLite", limit);
            }
        }
        let first: &Figures = smallest.get_or_insert(ours);
        if first.keys < ours.keys {
            for (name, value, base) in [
                ("get", ours.get, first.get),
                ("set", ours.set, first.set),
                ("increment", ours.increment, first.increment),
            ] {
                at_most(format!("{name}, {keys} keys"), value, 3.0 * base, "3 × the smallest store's", base);
            }
            if let (Some(value), Some(base)) = (ours.fresh, first.fresh) {
                let figure = format!("get in a fresh instance, {keys} keys");
                at_most(figure, value, 1.5 * base, "1.5 × the smallest store's", base);
            }
        }
        if let Some((_, counts)) = ours.calls.iter().find(|(operation, _)| *operation == "first get") {
            let calls: f64 = counts.values().sum();
            let figure = format!("host calls of a get in a fresh instance, {keys} keys");
            rows.push(Row::at_most(figure, format!("{calls:.0}"), calls, 10.0, "10"));
        }
        if let Some(bytes) = ours.memory {
            let mib = bytes as f64 / f64::from(1 << 20);
            let figure = format!("peak guest memory, {keys} keys");
            rows.push(Row::at_most(figure, format!("{mib:.1} MiB"), mib, 32.0, "32 MiB"));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_beside_sqlite_at_each_size_and_beside_the_smallest_store() {
        let store = |store: &str, keys, get| Figures { store: store.to_string(), keys, get, ..Figures::default() };
        let all = [
            store(KVFUSE, 1_000, 2.0),
            store(SQLITE, 1_000, 4.0),
            store(KVFUSE, 9_000, 7.0),
            store(SQLITE, 9_000, 5.0),
        ];
        let rows: Vec<_> = targets(&all).into_iter().filter(|row| row.figure.starts_with("get")).collect();
        let rows: Vec<_> = rows.iter().map(|row| (row.figure.as_str(), row.ratio, row.target)).collect();
        assert_eq!(
            rows,
            [
                ("get, 1,000 keys", 2.0 / 4.0, "as fast as SQLite"),
                ("get, 9,000 keys", 7.0 / 5.0, "as fast as SQLite"),
                ("get, 9,000 keys", 7.0 / 6.0, "3 × the smallest store's"),
            ]
        );
    }
}
