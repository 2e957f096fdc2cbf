//! D-Bus messages, as far as one request needs them: little-endian, and of the types that it has.
//!
//! The form is that of the D-Bus specification, "Message Protocol": each value is aligned to its size from the start of the
//! message, and a header of fields comes before the body.

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Call = 1,
    /// The answer to one.
    Return = 2,
    /// The refusal of one.
    Error = 3,
    /// Something that has happened.
    Signal = 4,
}

/// The fixed part of a header, with the length of the fields.
pub const FIXED: usize = 16;

/// The most bytes of a message that is read: what is asked for is far smaller.
const MOST: usize = 1 << 20;

// The numbers of the fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Values one after the other.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, size: usize) {
        self.0.resize(self.0.len().next_multiple_of(size), 0);
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// A number (`u`), or a truth value (`b`).
    pub fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    /// A string (`s`) or an object's path (`o`).
    pub fn string(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.byte(0);
    }

    /// The type of what follows (`g`).
    pub fn signature(&mut self, text: &str) {
        self.byte(text.len() as u8);
        self.0.extend(text.as_bytes());
        self.byte(0);
    }

    /// The start of a structure (`(`).
    pub fn structure(&mut self) {
        self.align(8);
    }

    /// A list (`a`) whose elements are aligned to `size`, and are written by `elements`.
    pub fn list(&mut self, size: usize, elements: impl FnOnce(&mut Self)) {
        self.number(0);
        let length = self.0.len() - 4;
        // The padding before the first element is no part of the length.
        self.align(size);
        let start = self.0.len();
        elements(self);
        let bytes = (self.0.len() - start) as u32;
        self.0[length..length + 4].copy_from_slice(&bytes.to_le_bytes());
    }
}

/// A call to be sent.
pub struct Call<'a> {
    /// To whom.
    pub destination: &'a str,
    /// To which object.
    pub path: &'a str,
    /// By which interface.
    pub interface: &'a str,
    /// What is called.
    pub member: &'a str,
    /// The types of the arguments.
    pub signature: &'a str,
    /// The arguments.
    pub body: Writer,
}

impl Call<'_> {
    /// The whole message; answers to it name `serial`.
    pub fn to_bytes(&self, serial: u32) -> Vec<u8> {
        let mut message = Writer::default();
        message.0.extend([b'l', Kind::Call as u8, 0, 1]);
        message.number(self.body.0.len() as u32);
        message.number(serial);
        message.list(8, |fields| {
            for (number, kind, value) in [
                (PATH, "o", self.path),
                (INTERFACE, "s", self.interface),
                (MEMBER, "s", self.member),
                (DESTINATION, "s", self.destination),
                (SIGNATURE, "g", self.signature),
            ] {
                if value.is_empty() {
                    continue;
                }
                fields.structure();
                fields.byte(number);
                fields.signature(kind);
                match kind {
                    "g" => fields.signature(value),
                    _ => fields.string(value),
                }
            }
        });
        message.align(8);
        message.0.extend(&self.body.0);
        message.0
    }
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The call that it answers; 0 if it answers none.
    pub answers: u32,
    /// What has happened; empty if it is no signal.
    pub member: String,
    /// The name of an error; empty if it is none.
    pub error: String,
    /// The types of what is in it.
    signature: String,
    body: Vec<u8>,
}

/// How many bytes a message has whose header begins with `fixed`; none if it cannot be one.
pub fn length(fixed: &[u8; FIXED]) -> Option<usize> {
    let mut reader = Reader::new(fixed);
    reader.skip(4)?;
    let (body, _, fields) = (reader.number()?, reader.number()?, reader.number()?);
    let length = FIXED
        .checked_add(fields as usize)?
        .checked_next_multiple_of(8)?
        .checked_add(body as usize)?;
    (fixed[0] == b'l' && length <= MOST).then_some(length)
}

impl Message {
    /// Reads a whole message; none if it is none, or is of types that are not known here.
    pub fn read(bytes: &[u8]) -> Option<Message> {
        let mut reader = Reader::new(bytes);
        reader.skip(1)?;
        let kind = match reader.byte()? {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return None,
        };
        reader.skip(2)?;
        let (body, _, fields) = (reader.number()?, reader.number()?, reader.number()?);
        let end = FIXED.checked_add(fields as usize)?;
        let mut message = Message {
            kind,
            answers: 0,
            member: String::new(),
            error: String::new(),
            signature: String::new(),
            body: Vec::new(),
        };
        while reader.at < end {
            reader.align(8)?;
            let number = reader.byte()?;
            let value = match reader.signature()? {
                "s" | "o" => Field::Text(reader.string()?),
                "g" => Field::Text(reader.signature()?),
                "u" => Field::Number(reader.number()?),
                _ => return None,
            };
            match (number, value) {
                (MEMBER, Field::Text(text)) => message.member = text.to_string(),
                (ERROR_NAME, Field::Text(text)) => message.error = text.to_string(),
                (SIGNATURE, Field::Text(text)) => message.signature = text.to_string(),
                (REPLY_SERIAL, Field::Number(serial)) => message.answers = serial,
                _ => {}
            }
        }
        reader.align(8)?;
        message.body = reader.take(body as usize)?.to_vec();
        Some(message)
    }

    /// The strings and paths in it, up to the first value of another type than those and numbers.
    pub fn strings(&self) -> Vec<&str> {
        let mut reader = Reader::new(&self.body);
        let mut strings = Vec::new();
        for kind in self.signature.bytes() {
            let read = match kind {
                b's' | b'o' => reader.string().map(|text| strings.push(text)),
                b'u' => reader.number().map(drop),
                _ => None,
            };
            if read.is_none() {
                break;
            }
        }
        strings
    }
}

enum Field<'a> {
    Text(&'a str),
    Number(u32),
}

/// Reads values one after the other; none where there is not enough left.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    fn align(&mut self, size: usize) -> Option<()> {
        self.skip(self.at.next_multiple_of(size) - self.at)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a str> {
        let length = self.number()? as usize;
        self.text(length)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?.into();
        self.text(length)
    }

    /// Text, and the NUL after it.
    fn text(&mut self, length: usize) -> Option<&'a str> {
        let text = self.take(length)?;
        self.skip(1)?;
        std::str::from_utf8(text).ok()
    }
}
