//! Lines on `wasi:cli/stderr`: what no call can return, and the reason of a trap.

/// Writes a line to standard error.
pub fn say(line: &str) {
    let stderr = wasip2::cli::stderr::get_stderr();
    let line = format!("{line}\n");
    // This call takes at most 4096 bytes. Errors are ignored: there is no other place to report them.
    for chunk in line.as_bytes().chunks(4096) {
        drop(stderr.blocking_write_and_flush(chunk));
    }
}

/// Writes the reason to standard error, on a line of its own, and traps.
pub fn trap(reason: &str) -> ! {
    say(reason);
    std::process::abort()
}
