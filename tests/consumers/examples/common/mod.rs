//! What commands of WASI 0.3 share. It is not in the library, which would give every middleware the types of WASI 0.3.

/// Writes a text to standard output.
pub async fn say(text: String) -> Result<(), ()> {
    let (mut out, reader) = wasip3::wit_stream::new();
    let written = wasip3::cli::stdout::write_via_stream(reader);
    out.write_all(text.into_bytes()).await;
    drop(out);
    written.await.map_err(drop)
}
