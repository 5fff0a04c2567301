//! The Redis protocol: requests in, replies out, in the dialect (2 or 3) the client chose.
//! It knows no command.

/// What the bytes so far hold.
pub(super) enum Next {
    /// A command's words, and how many bytes it took.
    Command(Vec<String>, usize),
    Incomplete,
    Broken(&'static str),
}

/// The largest number of words or bytes in one command.
const MAX: usize = 1 << 16;

/// Reads one command: an array of bulk strings, or a line typed by a person.
pub(super) fn next(bytes: &[u8]) -> Next {
    let mut reader = Reader { bytes, at: 0 };
    match reader.command() {
        Ok(words) => Next::Command(words, reader.at),
        Err(Stop::Incomplete) => Next::Incomplete,
        Err(Stop::Broken(why)) => Next::Broken(why),
    }
}

enum Stop {
    Incomplete,
    Broken(&'static str),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn command(&mut self) -> Result<Vec<String>, Stop> {
        let line = self.line()?;
        let Some(count) = line.strip_prefix('*') else {
            return Ok(line.split_whitespace().map(str::to_owned).collect());
        };
        let count = length(count, "invalid multibulk length")?;
        (0..count).map(|_| self.bulk()).collect()
    }

    fn bulk(&mut self) -> Result<String, Stop> {
        let line = self.line()?;
        let size = line.strip_prefix('$').ok_or(Stop::Broken("expected '$'"))?;
        let size = length(size, "invalid bulk length")?;
        let rest = self.bytes.get(self.at..self.at + size + 2).ok_or(Stop::Incomplete)?;
        self.at += size + 2;
        Ok(String::from_utf8_lossy(&rest[..size]).into_owned())
    }

    fn line(&mut self) -> Result<String, Stop> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = match end {
            Some(end) => end,
            None if rest.len() > MAX => return Err(Stop::Broken("too big inline request")),
            None => return Err(Stop::Incomplete),
        };
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).trim_end_matches('\r').to_owned())
    }
}

fn length(text: &str, why: &'static str) -> Result<usize, Stop> {
    text.parse().ok().filter(|length| *length <= MAX).ok_or(Stop::Broken(why))
}

/// What is answered.
pub(super) enum Reply {
    Simple(&'static str),
    Error(String),
    Integer(i64),
    Bulk(String),
    Nothing,
    Array(Vec<Reply>),
    /// A flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// A bulk string in RESP2.
    Text(String),
}

impl Reply {
    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    pub(super) fn bulk(text: impl Into<String>) -> Self {
        Self::Bulk(text.into())
    }

    pub(super) fn integer(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Appends the reply in protocol `version`.
    pub(super) fn write(&self, version: u8, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => push(out, &format!("+{text}\r\n")),
            Self::Error(text) => push(out, &format!("-{}\r\n", text.replace(['\r', '\n'], " "))),
            Self::Integer(value) => push(out, &format!(":{value}\r\n")),
            Self::Bulk(text) => push(out, &format!("${}\r\n{text}\r\n", text.len())),
            Self::Nothing => push(out, if version == 3 { "_\r\n" } else { "$-1\r\n" }),
            Self::Array(items) => {
                push(out, &format!("*{}\r\n", items.len()));
                for item in items {
                    item.write(version, out);
                }
            }
            Self::Map(pairs) => {
                let head = if version == 3 {
                    format!("%{}\r\n", pairs.len())
                } else {
                    format!("*{}\r\n", pairs.len() * 2)
                };
                push(out, &head);
                for (key, value) in pairs {
                    key.write(version, out);
                    value.write(version, out);
                }
            }
            Self::Text(text) if version == 3 => {
                push(out, &format!("={}\r\ntxt:{text}\r\n", text.len() + 4));
            }
            Self::Text(text) => push(out, &format!("${}\r\n{text}\r\n", text.len())),
        }
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
