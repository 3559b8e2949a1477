//! A long run of the simulation, or one run again.
//!
//! ```text
//! soak [seconds [first seed [how many]]]  every weather, seed after seed (a random first one)
//! soak replay <weather> <seed> [operations]
//! ```
//! The environment variable `FAULTS` is `all`, `none` or some of `failed_syncs`, `failed_directory_syncs`,
//! `short_reads`, `lost_pages`, `pieces`, `bodies` and `lifetimes`, separated by commas; unless it is set, what the
//! store withstands.
//!
//! It fails when something was wrong, and also when that could not be decided. Each such seed is printed.

use kvfuse_files_sim::world::{Counts, Faults, Plan, WEATHERS, Weather, run};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

/// Operations of each instance, of which every seed takes one.
const LENGTHS: [usize; 4] = [8, 15, 40, 120];

/// Operations of each instance in a weather. Where most get no answer that counts, there are more orders than can be
/// tried.
fn length(weather: Weather, seed: u64) -> usize {
    let length = LENGTHS[seed as usize % LENGTHS.len()];
    match weather {
        Weather::PowerMixed => length.min(30),
        // The states of its values take much memory.
        Weather::Large => length.min(60),
        _ => length,
    }
}

/// What runs a seed again, but for weather, seed and operations.
const REPLAY: &str = "replay: cargo run -p kvfuse-files-sim --bin soak -- replay";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u64>().ok());
    let faults = match std::env::var("FAULTS") {
        Ok(names) => Faults::parse(&names),
        Err(_) => Some(Faults::WITHSTOOD),
    };
    let Some(faults) = faults else {
        eprintln!("FAULTS names something that is not a fault; see the documentation of soak");
        return ExitCode::FAILURE;
    };
    if arguments.first().is_some_and(|word| word == "replay") {
        let weather = WEATHERS.into_iter().find(|weather| arguments.get(1) == Some(&format!("{weather:?}")));
        let (Some(weather), Some(seed)) = (weather, number(2)) else {
            eprintln!("usage: soak replay {WEATHERS:?} <seed> [operations]");
            return ExitCode::FAILURE;
        };
        let operations = number(3).map_or_else(|| length(weather, seed), |n| n as usize);
        return match run(Plan { faults, ..Plan::new(weather, seed, operations) }) {
            Ok(counts) if counts.undecided > 0 => {
                println!("undecided, the search was given up: {counts:?}");
                ExitCode::FAILURE
            }
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
    let limit = Duration::from_secs(number(0).unwrap_or(600));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    let first = number(1).unwrap_or(now >> 8);
    let most = number(2).unwrap_or(u64::MAX);
    let start = Instant::now();
    let mut told = start;
    let mut total = Counts::default();
    let mut seed = first;
    while start.elapsed() < limit && seed.wrapping_sub(first) < most {
        for weather in WEATHERS {
            let operations = length(weather, seed);
            match run(Plan { faults, ..Plan::new(weather, seed, operations) }) {
                Ok(counts) => {
                    total.add(&counts);
                    if counts.undecided > 0 {
                        println!(
                            "undecided, nobody knows whether it is right\n{REPLAY} {weather:?} {seed} {operations}"
                        );
                    }
                }
                Err(why) => {
                    println!("{why}\n{REPLAY} {weather:?} {seed} {operations}");
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
    let seeds = seed - first;
    let what = if total.undecided > 0 { "some histories undecided" } else { "nothing wrong" };
    println!("{what} in {seeds} seeds of each weather from {first} on: {total:?}");
    // Now and then one takes more time to judge than there is. Many would mean that the soak shows nothing.
    let many = total.undecided as u64 * 20 > seeds * WEATHERS.len() as u64;
    if many { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
