//! A command that takes the books of its arguments from a shelf, and does not know how that keeps them.

wit_bindgen::generate!({
    inline: "
        package kvfuse:application;
        world application {
            import kvfuse:counting/shelf;
        }
    ",
    generate_all,
    path: "wit",
});

use kvfuse::counting::shelf;
use wasip2::cli::{environment, stdout};

struct Reader;
wasip2::cli::command::export!(Reader);

impl wasip2::exports::cli::run::Guest for Reader {
    fn run() -> Result<(), ()> {
        for book in environment::get_arguments().iter().skip(1) {
            let line = match shelf::take(book) {
                Ok(times) => format!("{book} {times}\n"),
                Err(error) => format!("{book}: {error}\n"),
            };
            // If standard output is gone, nobody reads this.
            drop(stdout::get_stdout().blocking_write_and_flush(line.as_bytes()));
        }
        Ok(())
    }
}
