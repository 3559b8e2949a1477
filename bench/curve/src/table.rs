//! The figures as Markdown tables, which read as plain text too.

use crate::drive::Figures;

/// Microseconds with three significant digits or so.
pub fn us(ns: f64) -> String {
    let us = ns / 1000.0;
    match us {
        ..10.0 => format!("{us:.2}"),
        ..100.0 => format!("{us:.1}"),
        _ => format!("{us:.0}"),
    }
}

/// A number with commas between thousands.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// One line for each size and store.
pub fn curve(all: &[Figures]) -> String {
    let head = [
        "keys",
        "store",
        "get",
        "set",
        "increment",
        "fill in key order",
        "fill in random order",
        "get in a fresh instance",
        "listing, per key",
        "bytes per key, filled",
        "after the rounds",
        "guest memory, MiB",
    ];
    let line = |figures: &Figures| {
        let bytes = |sum: f64| format!("{:.0}", sum / figures.keys as f64);
        vec![
            thousands(figures.keys),
            figures.store.clone(),
            us(figures.get),
            us(figures.set),
            us(figures.increment),
            us(figures.fill_ordered),
            us(figures.fill_random),
            figures.fresh.map_or(String::new(), us),
            us(figures.list),
            bytes(figures.filled),
            bytes(figures.worked),
            figures.memory.map_or(String::new(), |bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20))),
        ]
    };
    aligned(&head, &all.iter().map(line).collect::<Vec<_>>())
}

/// Host calls per operation, one line for each size, store and operation.
pub fn calls(all: &[Figures]) -> String {
    let mut names: Vec<&String> =
        all.iter().flat_map(|figures| &figures.calls).flat_map(|(_, counts)| counts.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let head: Vec<&str> =
        ["keys", "store", "operation", "all"].into_iter().chain(names.iter().map(|name| name.as_str())).collect();
    let mut lines = Vec::new();
    for figures in all {
        for (operation, counts) in &figures.calls {
            let number = |count: f64| if count == 0.0 { String::new() } else { format!("{count:.2}") };
            let mut line = vec![thousands(figures.keys), figures.store.clone(), (*operation).to_string()];
            line.push(number(counts.values().sum()));
            line.extend(names.iter().map(|name| number(counts.get(*name).copied().unwrap_or(0.0))));
            lines.push(line);
        }
    }
    aligned(&head, &lines)
}

/// A Markdown table with columns as wide as their content.
pub fn aligned(head: &[&str], lines: &[Vec<String>]) -> String {
    let width = |n: usize| {
        let cells = lines.iter().filter_map(|line| line.get(n)).map(|cell| cell.chars().count());
        cells.chain([head[n].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(n, (cell, width))| if n < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") })
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(n, width)| if n < 2 { "-".repeat(*width) } else { "-".repeat(width - 1) + ":" })
        .collect();
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let body: String = lines.iter().map(|line| row(line)).collect();
    row(&head) + &row(&rule) + &body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_between_thousands_and_times_three_digits() {
        assert_eq!([1, 999, 1000, 10_000_000].map(thousands), ["1", "999", "1,000", "10,000,000"]);
        assert_eq!([4.0, 2_345.0, 45_678.0, 345_678.0].map(us), ["0.00", "2.35", "45.7", "346"]);
    }

    #[test]
    fn a_host_call_that_one_store_makes_is_a_column_for_all() {
        let figures = |store: &str, name: &str| Figures {
            store: store.to_string(),
            keys: 1000,
            calls: vec![("get", [(name.to_string(), 1.5)].into())],
            ..Figures::default()
        };
        let expected = "\
| keys  | store | operation |  all | open | read |
| ----- | ----- | --------: | ---: | ---: | ---: |
| 1,000 | a     |       get | 1.50 |      | 1.50 |
| 1,000 | b     |       get | 1.50 | 1.50 |      |
";
        assert_eq!(calls(&[figures("a", "read"), figures("b", "open")]), expected);
    }
}
