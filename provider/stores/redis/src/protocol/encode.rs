//! Commands as bytes: arrays of bulk strings, in both versions of the protocol.

/// The most bytes that an argument takes beside its own.
const HEADER: usize = 24;

/// Commands to be sent together.
#[derive(Default)]
pub struct Request {
    bytes: Vec<u8>,
    commands: usize,
}

impl Request {
    /// A request of one command.
    pub fn of(arguments: &[&[u8]]) -> Self {
        let mut request = Self::default();
        request.command(arguments);
        request
    }

    /// Adds a command: its name, then its arguments.
    pub fn command(&mut self, arguments: &[&[u8]]) -> &mut Self {
        let payload: usize = arguments.iter().map(|argument| argument.len() + HEADER).sum();
        self.begin(arguments.len(), payload);
        for argument in arguments {
            self.argument(&[argument]);
        }
        self
    }

    /// Begins a command with this number of arguments, including its name, which [`Self::argument`] then adds.
    /// `payload` is their approximate size in bytes.
    pub fn begin(&mut self, arguments: usize, payload: usize) {
        self.bytes.reserve(payload + HEADER);
        self.header(b'*', arguments);
        self.commands += 1;
    }

    /// Adds an argument, given in several parts.
    pub fn argument(&mut self, parts: &[&[u8]]) {
        self.header(b'$', parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Adds the commands of another request.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.bytes.extend_from_slice(&other.bytes);
        self.commands += other.commands;
        self
    }

    fn header(&mut self, kind: u8, length: usize) {
        self.bytes.push(kind);
        let mut power = 1;
        while length / power >= 10 {
            power *= 10;
        }
        while power > 0 {
            // A digit: below 10.
            self.bytes.push(b'0' + (length / power % 10) as u8);
            power /= 10;
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of commands, which is the number of replies to expect.
    pub fn commands(&self) -> usize {
        self.commands
    }

    pub fn is_empty(&self) -> bool {
        self.commands == 0
    }

    pub fn size(&self) -> Size {
        Size { bytes: self.bytes.len(), commands: self.commands }
    }
}

/// A request to a node of a cluster for keys that it is just being given: `ASKING` precedes each command. Inside a transaction
/// it would be a command of the transaction, and what precedes `MULTI` holds until `EXEC`.
pub struct Asking {
    request: Request,
    /// For each reply, whether it is that to `ASKING`.
    asks: Vec<bool>,
}

impl Request {
    /// The same for keys that a node is just being given.
    pub fn asking(&self) -> Asking {
        let mut asking = Asking { request: Self::default(), asks: Vec::new() };
        let mut in_transaction = false;
        let mut rest = self.bytes.as_slice();
        while let Some((name, command, after)) = first_command(rest) {
            if !in_transaction {
                asking.request.command(&[b"ASKING"]);
                asking.asks.push(true);
            }
            asking.request.bytes.extend_from_slice(command);
            asking.request.commands += 1;
            asking.asks.push(false);
            in_transaction = name == b"MULTI" || (in_transaction && name != b"EXEC");
            rest = after;
        }
        asking
    }
}

impl Asking {
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The replies to the commands themselves.
    pub fn own<T>(&self, replies: Vec<T>) -> Vec<T> {
        let replies = replies.into_iter().zip(&self.asks);
        replies.filter(|(_, asks)| !**asks).map(|(reply, _)| reply).collect()
    }
}

/// The name of the first command, its bytes, and what follows it.
fn first_command(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (mut count, mut rest) = header(bytes, b'*')?;
    let mut name = None;
    while count > 0 {
        let (length, after) = header(rest, b'$')?;
        let (argument, after) = after.split_at_checked(length)?;
        name = name.or(Some(argument));
        rest = after.strip_prefix(b"\r\n")?;
        count -= 1;
    }
    let command = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
    Some((name?, command, rest))
}

/// The number in a line of this kind, and what follows it.
fn header(bytes: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let rest = bytes.strip_prefix(&[kind])?;
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    let number = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
    Some((number, rest.get(end..)?.strip_prefix(b"\r\n")?))
}

/// How long a request is.
#[derive(Clone, Copy)]
pub struct Size {
    pub bytes: usize,
    pub commands: usize,
}

impl Size {
    /// Whether the server may have carried out any of the request once it has this many of its bytes. It carries out a command
    /// when the last byte has arrived.
    pub fn may_be_done(self, sent: u64) -> bool {
        sent >= self.bytes as u64 || (self.commands > 1 && sent > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        // The example of the protocol's specification, "Sending commands to a Redis server".
        assert_eq!(Request::of(&[b"LLEN", b"mylist"]).bytes(), b"*2\r\n$4\r\nLLEN\r\n$6\r\nmylist\r\n");
    }

    #[test]
    fn lengths_are_decimal() {
        for length in [0, 9, 10, 99, 100, 101, 999, 1000, 123_456, 1 << 20] {
            let expected = format!("*1\r\n${length}\r\n");
            assert!(Request::of(&[&vec![b'x'; length]]).bytes().starts_with(expected.as_bytes()), "{length}");
        }
    }

    #[test]
    fn arguments_are_binary_and_may_be_empty() {
        let request = Request::of(&[b"SET", b"", b"\r\n\0\xff"]);
        assert_eq!(request.bytes(), b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\0\xff\r\n");
    }

    #[test]
    fn commands_follow_one_another() {
        let mut request = Request::of(&[b"MULTI"]);
        request.command(&[b"EXEC"]);
        assert_eq!(request.commands(), 2);
        assert_eq!(request.bytes(), b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n");
    }

    #[test]
    fn asking_precedes_each_command_and_each_transaction_and_its_replies_are_left_out() {
        let mut request = Request::of(&[b"WATCH", b"k"]);
        request.command(&[b"GET", b"\r\n*1\r\n$"]);
        request.command(&[b"MULTI"]).command(&[b"SET", b"k", b""]).command(&[b"EXEC"]).command(&[b"GET", b"k"]);
        let mut expected = Request::of(&[b"ASKING"]);
        expected.command(&[b"WATCH", b"k"]).command(&[b"ASKING"]).command(&[b"GET", b"\r\n*1\r\n$"]);
        expected.command(&[b"ASKING"]).command(&[b"MULTI"]).command(&[b"SET", b"k", b""]).command(&[b"EXEC"]);
        expected.command(&[b"ASKING"]).command(&[b"GET", b"k"]);
        let asking = request.asking();
        assert_eq!(asking.request().bytes(), expected.bytes());
        assert_eq!(asking.request().commands(), 10);
        assert_eq!(asking.own((0..10).collect()), [1, 3, 5, 6, 7, 9]);
    }
}
