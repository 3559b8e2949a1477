//! Many instances, interleaved, killed, failing, without power: whatever happens, what they were told can be.

use kvfuse_files_sim::world::{Counts, Plan, WEATHERS, Weather, run};

#[test]
fn no_interleaving_of_instances_breaks_a_promise() {
    for weather in WEATHERS {
        let mut total = Counts::default();
        // Large values take their time.
        let (seeds, operations) = if weather == Weather::Large { (100, 60) } else { (1000, 15) };
        for seed in 0..seeds {
            match run(Plan::new(weather, seed, operations)) {
                Ok(counts) => total.add(&counts),
                Err(why) => {
                    panic!(
                        "{why}\nreplay: cargo run -p kvfuse-files-sim --bin soak -- replay {weather:?} {seed} {operations}"
                    )
                }
            }
        }
        println!("{weather:?}: {total:?}");
        assert_eq!(total.undecided, 0, "{weather:?}: histories that nobody judged");
    }
}
