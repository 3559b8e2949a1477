//! A server of static files, for browsers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves the files of a folder until the process ends.
pub fn serve(folder: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let folder = folder.clone();
            // The browser may hang up at any point.
            std::thread::spawn(move || drop(answer(connection, &folder)));
        }
    });
    address
}

/// Answers the requests of one connection.
fn answer(mut connection: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    while let Some(request) = lines.next() {
        let request = request?;
        // The rest of the head.
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let name = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
        let name = name.split('?').next().unwrap_or_default();
        let kind = match name.rsplit('.').next() {
            Some("html") => "text/html",
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("wasm") => "application/wasm",
            _ => "application/octet-stream",
        };
        let (status, body) = match std::fs::read(folder.join(name)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let length = body.len();
        write!(
            connection,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\r\n"
        )?;
        connection.write_all(&body)?;
    }
    Ok(())
}
