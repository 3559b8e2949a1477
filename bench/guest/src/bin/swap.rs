//! Compare-and-swap, timed: `swap TIMES`. An operation makes a handle on the key's state and swaps on it.

wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use kvfuse_bench_guest::time;
use wasi::keyvalue::atomics::{Cas, swap};
use wasi::keyvalue::store;

fn main() {
    let times = std::env::args().nth(1).map_or(1, |text| text.parse().expect("a number"));
    let bucket = store::open("").expect("the bucket opens");
    let value = [b'v'; 100];
    time(times, || swap(Cas::new(&bucket, "swapped").unwrap(), &value).unwrap_or_else(|_| panic!("the swap lost")));
}
