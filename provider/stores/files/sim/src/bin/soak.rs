//! A long run of the simulation, or one run again.
//!
//! ```text
//! soak [seconds [first seed]]             every weather, seed after seed (a random first one)
//! soak replay <weather> <seed> [operations]
//! ```

use kvfuse_files_sim::world::{Counts, Plan, WEATHERS, run};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

/// Operations of each instance, of which every seed takes one.
const LENGTHS: [usize; 4] = [8, 15, 40, 120];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u64>().ok());
    if arguments.first().is_some_and(|word| word == "replay") {
        let weather = WEATHERS.into_iter().find(|weather| arguments.get(1) == Some(&format!("{weather:?}")));
        let (Some(weather), Some(seed)) = (weather, number(2)) else {
            eprintln!("usage: soak replay {WEATHERS:?} <seed> [operations]");
            return ExitCode::FAILURE;
        };
        let operations = number(3).map_or(LENGTHS[seed as usize % LENGTHS.len()], |n| n as usize);
        return match run(Plan { seed, weather, flaw: None, operations }) {
            Ok(counts) => {
                println!("nothing wrong: {counts:?}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                println!("{why}");
                ExitCode::FAILURE
            }
        };
    }
    let length = Duration::from_secs(number(0).unwrap_or(600));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    let first = number(1).unwrap_or(now >> 8);
    let start = Instant::now();
    let mut told = start;
    let mut total = Counts::default();
    let mut seed = first;
    while start.elapsed() < length {
        let operations = LENGTHS[seed as usize % LENGTHS.len()];
        for weather in WEATHERS {
            match run(Plan { seed, weather, flaw: None, operations }) {
                Ok(counts) => total.add(&counts),
                Err(why) => {
                    println!(
                        "{why}\nreplay: cargo run -p kvfuse-files-sim --bin soak -- replay {weather:?} {seed} {operations}"
                    );
                    return ExitCode::FAILURE;
                }
            }
        }
        seed += 1;
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            println!("{:>5} s, {} seeds: {total:?}", start.elapsed().as_secs(), seed - first);
        }
    }
    println!("nothing wrong in {} seeds of each weather from {first} on: {total:?}", seed - first);
    ExitCode::SUCCESS
}
