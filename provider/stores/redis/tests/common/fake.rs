//! Servers that answer as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub enum Answer {
    /// These bytes.
    Send(String),
    /// None, ever, and nothing else is answered on this connection.
    Hang,
}

/// An answer to the words of a command.
type Answers = Box<dyn FnMut(&[&str]) -> Answer + Send>;

/// A server. It ends with the test's program.
pub struct Fake {
    port: u16,
    answers: Arc<Mutex<Answers>>,
}

impl Fake {
    /// Answers nothing until it is told what.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(|_| Answer::Hang)));
        let shared = answers.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || serve(client, &shared));
            }
        });
        Self { port, answers }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn answer(&self, answers: impl FnMut(&[&str]) -> Answer + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// As a sentinel that names a server at a port.
    pub fn names(&self, port: u16) {
        self.answer(move |_| Answer::Send(format!("*2\r\n$9\r\n127.0.0.1\r\n{}", bulk(&port.to_string()))));
    }

    /// As a node of a cluster, in which each range of slots is at a port. The rest is answered by the function.
    pub fn is_node(&self, slots: &[(u16, u16, u16)], mut more: impl FnMut(&[&str]) -> Answer + Send + 'static) {
        let map = slots_reply(slots);
        self.answer(move |words| match words {
            // A server before Redis 6.
            ["HELLO", ..] => Answer::Send("-ERR unknown command 'HELLO'\r\n".into()),
            ["CLUSTER", "SLOTS"] => Answer::Send(map.clone()),
            words => more(words),
        });
    }
}

pub fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A reply to `CLUSTER SLOTS`.
pub fn slots_reply(slots: &[(u16, u16, u16)]) -> String {
    let ranges = slots
        .iter()
        .map(|(first, last, port)| format!("*3\r\n:{first}\r\n:{last}\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n"));
    format!("*{}\r\n{}", slots.len(), ranges.collect::<String>())
}

fn serve(client: TcpStream, answers: &Mutex<Answers>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    loop {
        let count = number(&mut reader, '*')?;
        let words = (0..count).map(|_| {
            let length = number(&mut reader, '$')?;
            let mut word = vec![0; length + 2];
            reader.read_exact(&mut word).ok()?;
            word.truncate(length);
            String::from_utf8(word).ok()
        });
        let words: Vec<String> = words.collect::<Option<_>>()?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = (answers.lock().unwrap())(&words);
        match answer {
            Answer::Send(text) => (&client).write_all(text.as_bytes()).ok()?,
            Answer::Hang => while reader.read(&mut [0; 4096]).ok()? > 0 {},
        }
    }
}

fn number(reader: &mut impl BufRead, kind: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.strip_prefix(kind)?.trim_end().parse().ok()
}
