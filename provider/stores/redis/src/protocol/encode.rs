//! Commands as bytes: arrays of bulk strings, the same in both versions of the protocol.

/// Commands to send in one go.
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
        let payload: usize = arguments.iter().map(|argument| argument.len() + 16).sum();
        self.bytes.reserve(payload + 16);
        self.header(b'*', arguments.len());
        for argument in arguments {
            self.header(b'$', argument.len());
            self.bytes.extend_from_slice(argument);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.commands += 1;
        self
    }

    /// Adds the commands of another request.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.bytes.extend_from_slice(&other.bytes);
        self.commands += other.commands;
        self
    }

    fn header(&mut self, kind: u8, length: usize) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(length.to_string().as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many commands there are: as many replies will come.
    pub fn commands(&self) -> usize {
        self.commands
    }

    pub fn is_empty(&self) -> bool {
        self.commands == 0
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
}
