//! Commands as bytes.

/// The most bytes of a line beside the name.
const LINE: usize = 64;

/// Commands to be sent together.
#[derive(Default)]
pub struct Request {
    bytes: Vec<u8>,
    commands: usize,
}

impl Request {
    /// Reads an item. `flags` says what of it: `v` for the value, `c` for its version, `t` for the rest of its lifetime, `f` for
    /// its client flags.
    pub fn read(&mut self, name: &[u8], flags: &str) -> &mut Self {
        self.bytes.reserve(name.len() + LINE);
        self.line(&[b"mg", name, flags.as_bytes()])
    }

    pub fn delete(&mut self, name: &[u8]) -> &mut Self {
        self.line(&[b"md", name])
    }

    /// Stores an item. `flags` are those of the command `ms`.
    pub fn store(&mut self, name: &[u8], value: &[u8], flags: &str) -> &mut Self {
        self.bytes.reserve(name.len() + value.len() + LINE);
        self.line(&[b"ms", name, value.len().to_string().as_bytes(), flags.as_bytes()]);
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Logs in. A server that asks for no login takes this for an item: one that has expired already.
    pub fn log_in(&mut self, user: &str, password: &str) -> &mut Self {
        let length = (user.len() + 1 + password.len()).to_string();
        self.line(&[b"set", b"login", b"0", b"-1", length.as_bytes()]);
        for part in [user, " ", password, "\r\n"] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        self
    }

    /// Asks for statistics: all, or those that are settings.
    pub fn statistics(&mut self, which: &str) -> &mut Self {
        self.line(&[b"stats", which.as_bytes()])
    }

    fn line(&mut self, words: &[&[u8]]) -> &mut Self {
        for (place, word) in words.iter().filter(|word| !word.is_empty()).enumerate() {
            if place > 0 {
                self.bytes.push(b' ');
            }
            self.bytes.extend_from_slice(word);
        }
        self.bytes.extend_from_slice(b"\r\n");
        self.commands += 1;
        self
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of commands, which is the number of replies to expect.
    pub fn commands(&self) -> usize {
        self.commands
    }

    /// Whether the server may have carried out any of the request once it has this many of its bytes. It carries out a command
    /// when the last byte has arrived.
    pub fn may_be_done(&self, sent: usize) -> bool {
        sent >= self.bytes.len() || (self.commands > 1 && sent > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lines_and_values_follow_theirs() {
        let mut request = Request::default();
        request
            .read(b"b:k", "v c")
            .read(b"b:k", "")
            .delete(b"b:k")
            .store(b"b:k", b"\r\n\0", "C7 T9")
            .store(b"b:k", b"", "");
        assert_eq!(request.bytes(), b"mg b:k v c\r\nmg b:k\r\nmd b:k\r\nms b:k 3 C7 T9\r\n\r\n\0\r\nms b:k 0\r\n\r\n");
        assert_eq!(request.commands(), 5);
    }

    #[test]
    fn a_login_is_an_item_that_has_expired_for_those_that_ask_for_none() {
        let mut request = Request::default();
        request.log_in("ann", "pass word").statistics("").statistics("settings");
        assert_eq!(request.bytes(), b"set login 0 -1 13\r\nann pass word\r\nstats\r\nstats settings\r\n");
    }

    #[test]
    fn a_part_of_one_command_does_nothing_and_a_part_of_several_may() {
        let mut request = Request::default();
        request.store(b"b:k", b"1", "");
        assert!(!request.may_be_done(request.bytes().len() - 1) && request.may_be_done(request.bytes().len()));
        request.delete(b"b:l");
        assert!(request.may_be_done(1) && !request.may_be_done(0));
    }
}
