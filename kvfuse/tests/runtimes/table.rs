//! The README's table.

use crate::cell::{Cell, Program, Runtime, columns};
use crate::support::root;
use std::sync::Arc;

const BEGINS: &str = "<!-- runtimes: `make test-runtimes` writes this table -->\n";
const ENDS: &str = "<!-- end of runtimes -->\n";

fn table(rows: &[Arc<dyn Runtime>]) -> String {
    let mut out = String::from("| runtime |");
    for (program, store) in columns() {
        let program = match program {
            Program::Command => "command",
            Program::Handler => "handler",
            Program::Conformance => "conformance",
        };
        out.push_str(&format!(" {program}, `{}` |", store.name()));
    }
    out.push_str(&format!("\n|{}\n", "---|".repeat(1 + columns().count())));
    for row in rows {
        out.push_str(&format!("| {} |", row.name()));
        for (program, store) in columns() {
            let says = match row.expected(program, store) {
                Cell::Yes => "yes",
                Cell::Fails { why, .. } | Cell::Nothing(why) => why,
            };
            out.push_str(&format!(" {says} |"));
        }
        out.push('\n');
    }
    out
}

/// The README without the table, and the table in it.
fn readme() -> (String, [usize; 2]) {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let begin = text.find(BEGINS).expect("the README has a table of runtimes") + BEGINS.len();
    let end = text.find(ENDS).expect("the README's table of runtimes ends");
    (text, [begin, end])
}

pub fn check(rows: &[Arc<dyn Runtime>]) -> Result<(), String> {
    let (text, [begin, end]) = readme();
    let (is, expected) = (text.get(begin..end).unwrap(), table(rows));
    let message = || format!("it has\n{is}and should have\n{expected}make test-runtimes writes it");
    (is == expected).then_some(()).ok_or_else(message)
}

/// All cells were found to be as they are claimed.
pub fn write(rows: &[Arc<dyn Runtime>]) {
    let (mut text, [begin, end]) = readme();
    text.replace_range(begin..end, &table(rows));
    std::fs::write(root().join("README.md"), text).unwrap();
}
