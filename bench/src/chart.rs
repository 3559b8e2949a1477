//! The figures as a table and as a picture.

use crate::figures::Row;
use std::fmt::Write;

fn verdict(row: &Row) -> &'static str {
    if row.ratio <= 1.0 { "reached" } else { "missed" }
}

pub fn table(rows: &[Row]) -> String {
    let mut out = format!("{:<30} {:<28} {:>6}  {:<8} measured\n", "figure", "to reach", "ratio", "");
    for row in rows {
        let Row { figure, measured, ratio, target } = row;
        let _ = writeln!(out, "{figure:<30} {target:<28} {ratio:>6.2}  {:<8} {measured}", verdict(row));
    }
    out
}

pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from("| figure | to reach | share of it | | measured |\n|---|---|---|---|---|\n");
    for row in rows {
        let Row { figure, measured, ratio, target } = row;
        let _ = writeln!(out, "| {figure} | {target} | {ratio:.2} | {} | {measured} |", verdict(row));
    }
    out
}

/// A bar for each figure, by its share of what it may take; the line is where it would just be reached.
pub fn svg(rows: &[Row]) -> String {
    const ROW: usize = 22;
    const LEFT: f64 = 330.0;
    const FULL: f64 = 300.0;
    let height = rows.len() * ROW + 50;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">Share of what each figure may take (left of the line: reached)</text>\n"
    );
    for (n, row) in rows.iter().enumerate() {
        let y = 35 + n * ROW;
        let width = row.ratio.min(1.3) * FULL;
        let colour = if row.ratio <= 1.0 { "#3a7d44" } else { "#b3541e" };
        let _ = writeln!(
            out,
            "<text x=\"10\" y=\"{0}\">{1}: {2}</text><rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"14\" \
             fill=\"{colour}\"/><text x=\"{3:.1}\" y=\"{0}\">{4:.2}</text>",
            y + 12,
            row.figure,
            row.target,
            LEFT + width + 6.0,
            row.ratio
        );
    }
    let line = LEFT + FULL;
    let _ =
        writeln!(out, "<line x1=\"{line}\" y1=\"30\" x2=\"{line}\" y2=\"{}\" stroke=\"#222\"/>\n</svg>", height - 12);
    out
}
