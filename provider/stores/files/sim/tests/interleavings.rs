//! Many instances, interleaved, killed, failing, without power: whatever happens, what they were told can be.

use kvfuse_files_sim::world::{Counts, Plan, WEATHERS, run};

#[test]
fn no_interleaving_of_instances_breaks_a_promise() {
    for weather in WEATHERS {
        let mut total = Counts::default();
        for seed in 0..1000 {
            match run(Plan { seed, weather, flaw: None, operations: 15 }) {
                Ok(counts) => total.add(&counts),
                Err(why) => {
                    panic!("{why}\nreplay: cargo run -p kvfuse-files-sim --bin soak -- replay {weather:?} {seed} 15")
                }
            }
        }
        println!("{weather:?}: {total:?}");
        assert_eq!(total.undecided, 0, "{weather:?}: histories that nobody judged");
    }
}
