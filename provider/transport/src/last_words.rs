//! The reason of a trap, on `wasi:cli/stderr`.

/// Writes the reason to standard error, on a line of its own, and traps.
pub fn trap(reason: &str) -> ! {
    let stderr = wasip2::cli::stderr::get_stderr();
    let line = format!("{reason}\n");
    // 4096 bytes are what this call takes at most. Without a standard error the trap comes all the same.
    for chunk in line.as_bytes().chunks(4096) {
        drop(stderr.blocking_write_and_flush(chunk));
    }
    std::process::abort()
}
