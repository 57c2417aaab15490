//! A client that tells how an answer was lost, and never asks twice.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How the reason begins where there was no connection.
pub const REFUSED: &str = "connect";

/// An answer that came whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// Why there is no whole answer.
#[derive(Debug)]
pub enum Lost {
    /// The server closed a connection between two requests, just when the second was sent.
    Raced,
    /// Anything else.
    Broken(String),
}

/// A connection to a server of this host.
pub struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
    /// Whether it has brought an answer before.
    used: bool,
}

impl Connection {
    /// Opens one whose server may be silent for as long as `patience`.
    pub fn open(port: u16, patience: Duration) -> Result<Self, Lost> {
        let open = || {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            Ok(Self { stream, came: Vec::new(), used: false })
        };
        open().map_err(|error: io::Error| Lost::Broken(format!("{REFUSED}: {error}")))
    }

    /// Whether the server has said that it takes no more requests here. Every client looks before it sends.
    pub fn is_closed(&self) -> bool {
        let look = || {
            self.stream.set_nonblocking(true)?;
            let came = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            came
        };
        !look().is_err_and(|error: io::Error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends a request and waits for all of its answer; whether the connection can take another one comes with it.
    pub fn ask(&mut self, request: &[u8]) -> Result<(Answer, bool), Lost> {
        let answer = self.stream.write_all(request).and_then(|()| self.answer());
        let lost = |error: io::Error| {
            let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            match self.used && self.came.is_empty() && closed.contains(&error.kind()) {
                true => Lost::Raced,
                false => Lost::Broken(format!("after {} bytes: {error}", self.came.len())),
            }
        };
        let answer = answer.map_err(lost)?;
        self.used = true;
        self.came.clear();
        let more = answer.header("connection").is_none_or(|said| !said.eq_ignore_ascii_case("close"));
        Ok((answer, more))
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut at = self.find(0, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.came[..at]).into_owned();
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
        let mut answer = Answer { status, head, body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let end = self.find(at, b"\r\n")?;
                let size = std::str::from_utf8(&self.came[at..end - 2]).map_err(|_| ErrorKind::InvalidData)?;
                let size = usize::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)?;
                self.fill(end + size + 2)?;
                answer.body.extend(&self.came[end..end + size]);
                at = end + size + 2;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = answer.header("content-length") {
            let end = at + length.parse::<usize>().map_err(|_| ErrorKind::InvalidData)?;
            self.fill(end)?;
            answer.body.extend(&self.came[at..end]);
            at = end;
        } else {
            self.stream.read_to_end(&mut self.came)?;
            answer.body.extend(&self.came[at..]);
            at = self.came.len();
        }
        match at == self.came.len() {
            true => Ok(answer),
            false => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Reads until there is this after a place; where it ends.
    fn find(&mut self, from: usize, what: &[u8]) -> io::Result<usize> {
        loop {
            let found = self.came[from..].windows(what.len()).position(|window| window == what);
            match found {
                Some(found) => return Ok(from + found + what.len()),
                None => self.fill(self.came.len() + 1)?,
            }
        }
    }

    /// Reads until at least this many bytes have come.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        let mut piece = [0; 1 << 16];
        while self.came.len() < length {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.came.extend(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
