//! The query language: which cameras are meant. `zone = north and tag = tunnel`.
//!
//! ```text
//! any   = all ("or" all)*            all  = one ("and" one)*
//! one   = "not" one | "(" any ")" | "all" | test | near
//! test  = FIELD ("=" | "!=" | "~") VALUE | FIELD "in" "(" VALUE ("," VALUE)* ")"
//! near  = "near" LATITUDE "," LONGITUDE "within" DISTANCE
//! FIELD = "id" | "name" | "zone" | "site" | "tag"
//! ```

use std::fmt;
use std::str::FromStr;

use crate::config::report::did_you_mean;
use crate::config::wall::{CameraSpec, Position};

/// Longest query, in bytes.
const MAX_LENGTH: usize = 4096;
/// Deepest nesting of `not` and parentheses: keeps a hostile text off the stack.
const MAX_DEPTH: usize = 64;

/// A question to an inventory: which cameras. Letters match in either case.
#[derive(Clone, PartialEq)]
pub struct Query {
    text: String,
    root: Node,
}

/// What a test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Name,
    Zone,
    Site,
    Tag,
}

const FIELDS: [(&str, Field); 5] = [
    ("id", Field::Id),
    ("name", Field::Name),
    ("zone", Field::Zone),
    ("site", Field::Site),
    ("tag", Field::Tag),
];
/// Words that stand for themselves only in quotes.
const RESERVED: [&str; 7] = ["and", "or", "not", "in", "all", "near", "within"];

#[derive(Clone, Debug, PartialEq)]
enum Node {
    All,
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// One of these, in lower case.
    Is(Field, Vec<String>),
    /// A glob, in lower case.
    Like(Field, Vec<char>),
    Near(Position, f64),
}

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    text: String,
    byte: usize,
    message: String,
}

impl QueryError {
    /// Character in the query, from 1.
    pub fn column(&self) -> usize {
        self.text[..self.byte].chars().count() + 1
    }

    /// Byte in the query, from 0.
    pub(in crate::config) fn byte(&self) -> usize {
        self.byte
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The query with a caret below the fault; `None` where it could hold an address, and with it a
    /// login (invariant 7).
    pub fn picture(&self) -> Option<String> {
        let plain = |c: char| c.is_alphanumeric() || " -_.,*?()=!~<>&|'\"#+".contains(c);
        if self.text.is_empty() || !self.text.chars().all(plain) {
            return None;
        }
        // Long queries show the part around the fault.
        const BEFORE: usize = 60;
        let chars: Vec<char> = self.text.chars().collect();
        let at = self.column() - 1;
        let start = at.saturating_sub(BEFORE);
        let shown: String = chars.iter().skip(start).take(BEFORE + 40).collect();
        Some(format!("  {shown}\n  {}^", " ".repeat(at - start)))
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at character {} of the query", self.message, self.column())?;
        match self.picture() {
            Some(picture) => write!(f, "\n{picture}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for QueryError {}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({})", self.text)
    }
}

impl FromStr for Query {
    type Err = QueryError;
    fn from_str(text: &str) -> Result<Query, QueryError> {
        Query::parse(text)
    }
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// The first thing that is wrong with it, and its place.
    pub fn parse(text: &str) -> Result<Query, QueryError> {
        let fail = |byte, message: String| QueryError { text: text.to_owned(), byte, message };
        if text.len() > MAX_LENGTH {
            return Err(fail(0, format!("the query is longer than {MAX_LENGTH} bytes")));
        }
        let tokens = tokens(text).map_err(|(byte, message)| fail(byte, message))?;
        let mut parser = Parser { tokens, at: 0, end: text.trim_end().len() };
        let root = parser.any(0).and_then(|root| match parser.peek() {
            None => Ok(root),
            Some((byte, Token::Close)) => Err((*byte, "closes what was never opened".into())),
            Some((byte, token)) => {
                Err((*byte, format!("expected \"and\", \"or\" or the end, but here is {token}")))
            }
        });
        match root {
            Ok(root) => Ok(Query { text: text.to_owned(), root }),
            Err((byte, message)) => Err(fail(byte, message)),
        }
    }

    /// Whether this camera is meant.
    pub fn matches(&self, camera: &CameraSpec) -> bool {
        self.root.matches(camera)
    }

    /// The place of the first `near`, from which results are ordered.
    pub fn place(&self) -> Option<Position> {
        self.root.place()
    }
}

impl Node {
    fn matches(&self, camera: &CameraSpec) -> bool {
        match self {
            Node::All => true,
            Node::Not(inner) => !inner.matches(camera),
            Node::And(all) => all.iter().all(|node| node.matches(camera)),
            Node::Or(any) => any.iter().any(|node| node.matches(camera)),
            Node::Is(field, values) => field.any(camera, |text| values.iter().any(|v| same(text, v))),
            Node::Like(field, glob) => field.any(camera, |text| like(glob, text)),
            Node::Near(place, within) => camera.position.is_some_and(|p| p.metres_to(place) <= *within),
        }
    }

    fn place(&self) -> Option<Position> {
        match self {
            Node::Near(place, _) => Some(*place),
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().find_map(Node::place),
            Node::All | Node::Not(_) | Node::Is(..) | Node::Like(..) => None,
        }
    }
}

impl Field {
    fn any(self, camera: &CameraSpec, test: impl Fn(&str) -> bool) -> bool {
        match self {
            Field::Id => test(camera.id.as_str()),
            Field::Name => test(&camera.name),
            Field::Zone => camera.zone.as_deref().is_some_and(test),
            Field::Site => camera.site.as_deref().is_some_and(test),
            Field::Tag => camera.tags.iter().any(|tag| test(tag)),
        }
    }
}

fn lower(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

fn same(text: &str, lowered: &str) -> bool {
    lower(text).eq(lowered.chars())
}

/// Whether a glob (in lower case; `*` any text, `?` one character) covers all of a text.
fn like(glob: &[char], text: &str) -> bool {
    let text: Vec<char> = lower(text).collect();
    let (mut g, mut t) = (0, 0);
    // Where the last `*` stood, and how much of the text it covers: only that one needs to grow.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, covered)) => {
                    star = Some((at, covered + 1));
                    g = at + 1;
                    t = covered + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Is,
    IsNot,
    Like,
    Open,
    Close,
    Comma,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // What it says may be anything, so it is not repeated.
            Token::Word(_) => "a word",
            Token::Quoted(_) => "a text in quotes",
            Token::Is => "\"=\"",
            Token::IsNot => "\"!=\"",
            Token::Like => "\"~\"",
            Token::Open => "\"(\"",
            Token::Close => "\")\"",
            Token::Comma => "\",\"",
        })
    }
}

/// Byte and message.
type Fault = (usize, String);

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((byte, c)) = rest.next() {
        let next = rest.peek().map(|(_, c)| *c);
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '~' => Token::Like,
            '=' if next == Some('=') => return Err((byte, "write one \"=\"".into())),
            '=' => Token::Is,
            '!' if next == Some('=') => {
                rest.next();
                Token::IsNot
            }
            '!' => return Err((byte, "write \"not\", or \"!=\"".into())),
            '&' => return Err((byte, "write \"and\"".into())),
            '|' => return Err((byte, "write \"or\"".into())),
            '<' | '>' => return Err((byte, "compare with \"=\", \"!=\", \"~\" or \"in\"".into())),
            '"' | '\'' => {
                let inner = &text[byte + 1..];
                let Some(length) = inner.find(c) else {
                    return Err((byte, "this quote is not closed".into()));
                };
                let after = byte + 1 + length + 1;
                while rest.next_if(|(at, _)| *at < after).is_some() {}
                Token::Quoted(inner[..length].to_owned())
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "()=!~,\"'&|<>".contains(c);
                let word = &text[byte..];
                let word = &word[..word.find(ends).unwrap_or(word.len())];
                while rest.next_if(|(at, _)| *at < byte + word.len()).is_some() {}
                Token::Word(word.to_owned())
            }
        };
        tokens.push((byte, token));
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&(usize, Token)> {
        self.tokens.get(self.at)
    }

    /// Where the next token begins, or the query ends.
    fn here(&self) -> usize {
        self.peek().map_or(self.end, |(byte, _)| *byte)
    }

    /// Takes this word, where it is next and not in quotes.
    fn takes(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some((_, Token::Word(w))) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|(_, t)| t == token);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Node, Fault> {
        let mut nodes = vec![self.every(depth)?];
        while self.takes("or") {
            nodes.push(self.every(depth)?);
        }
        Ok(one_or(nodes, Node::Or))
    }

    fn every(&mut self, depth: usize) -> Result<Node, Fault> {
        let mut nodes = vec![self.one(depth)?];
        while self.takes("and") {
            nodes.push(self.one(depth)?);
        }
        Ok(one_or(nodes, Node::And))
    }

    fn one(&mut self, depth: usize) -> Result<Node, Fault> {
        let byte = self.here();
        if depth >= MAX_DEPTH {
            return Err((byte, format!("is nested deeper than {MAX_DEPTH} times")));
        }
        if self.takes("not") {
            return Ok(Node::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take(&Token::Open) {
            let inner = self.any(depth + 1)?;
            return if self.take(&Token::Close) {
                Ok(inner)
            } else {
                Err((byte, "this \"(\" is not closed".into()))
            };
        }
        if self.takes("all") {
            return Ok(Node::All);
        }
        if self.takes("near") { self.near() } else { self.test() }
    }

    fn test(&mut self) -> Result<Node, Fault> {
        let names = || FIELDS.map(|(name, _)| name).join(", ");
        let expected = || format!("expected {}, near, not, all or \"(\"", names());
        let Some((byte, token)) = self.peek().cloned() else {
            let what = if self.at == 0 { "is empty; " } else { "" };
            return Err((self.end, format!("{what}{}", expected())));
        };
        let Token::Word(word) = &token else { return Err((byte, format!("{}, not {token}", expected()))) };
        let Some((name, field)) = FIELDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) else {
            let hint = did_you_mean(word, FIELDS.map(|(name, _)| name));
            let hint = hint.unwrap_or_else(|| format!("there are {}", names()));
            return Err((byte, format!("cameras have no such field; {hint}")));
        };
        self.at += 1;
        if self.take(&Token::Is) {
            return Ok(Node::Is(*field, vec![self.value()?]));
        }
        if self.take(&Token::IsNot) {
            return Ok(Node::Not(Box::new(Node::Is(*field, vec![self.value()?]))));
        }
        if self.take(&Token::Like) {
            return Ok(Node::Like(*field, self.value()?.chars().collect()));
        }
        if self.takes("in") {
            return Ok(Node::Is(*field, self.list()?));
        }
        Err((self.here(), format!("expected \"=\", \"!=\", \"~\" or \"in\" after {name}")))
    }

    /// `(a, b)`.
    fn list(&mut self) -> Result<Vec<String>, Fault> {
        if !self.take(&Token::Open) {
            return Err((self.here(), "expected \"(\" after in".into()));
        }
        let mut values = vec![self.value()?];
        while self.take(&Token::Comma) {
            values.push(self.value()?);
        }
        if self.take(&Token::Close) {
            Ok(values)
        } else {
            Err((self.here(), "expected \",\" or \")\" in the list".into()))
        }
    }

    /// A value, in lower case.
    fn value(&mut self) -> Result<String, Fault> {
        let (byte, token) = match self.peek() {
            Some((byte, token)) => (*byte, token.clone()),
            None => return Err((self.end, "expected a value".into())),
        };
        let text = match token {
            Token::Word(word) if RESERVED.iter().any(|r| word.eq_ignore_ascii_case(r)) => {
                let word = word.to_ascii_lowercase();
                return Err((byte, format!("expected a value; {word} as a value is written \"{word}\"")));
            }
            Token::Word(word) | Token::Quoted(word) => word,
            other => {
                return Err((
                    byte,
                    format!("expected a value, not {other}; a value with signs in it stands in quotes"),
                ));
            }
        };
        self.at += 1;
        Ok(lower(&text).collect())
    }

    fn near(&mut self) -> Result<Node, Fault> {
        let latitude = self.number("a latitude, -90 to 90", 90.0)?;
        if !self.take(&Token::Comma) {
            return Err((self.here(), "expected \",\" between latitude and longitude".into()));
        }
        let longitude = self.number("a longitude, -180 to 180", 180.0)?;
        if !self.takes("within") {
            return Err((self.here(), "expected \"within\" and a distance, as within 2km".into()));
        }
        let distance = self.distance()?;
        Ok(Node::Near(Position { latitude, longitude }, distance))
    }

    fn number(&mut self, what: &str, limit: f64) -> Result<f64, Fault> {
        let read = match self.peek() {
            Some((_, Token::Word(word))) => word.parse::<f64>().ok(),
            _ => None,
        };
        let Some(number) = read.filter(|n| n.abs() <= limit) else {
            return Err((self.here(), format!("expected {what}")));
        };
        self.at += 1;
        Ok(number)
    }

    /// `2km`, `500m`, in metres.
    fn distance(&mut self) -> Result<f64, Fault> {
        let wrong = (self.here(), "expected a distance with its unit, as 500m or 2km".to_owned());
        let Some((_, Token::Word(word))) = self.peek() else { return Err(wrong) };
        let word = word.to_ascii_lowercase();
        let (number, unit) = match (word.strip_suffix("km"), word.strip_suffix('m')) {
            (Some(number), _) => (number, 1000.0),
            (None, Some(number)) => (number, 1.0),
            (None, None) => return Err(wrong),
        };
        let metres = number.parse::<f64>().ok().map(|n| n * unit).filter(|m| (0.0..=2.1e7).contains(m));
        self.at += 1;
        metres.ok_or(wrong)
    }
}

fn one_or(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            several(nodes)
        }
        None => Node::All,
    }
}
