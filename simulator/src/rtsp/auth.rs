//! Digest authentication (RFC 2617, MD5), as cameras ask for it.

use std::fmt;

use md5::{Digest, Md5};

use super::request::Request;

/// The realm that clients see.
const REALM: &str = "camera";

/// A user and a password; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// A login.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Login {
        Login { user: user.into(), password: password.into() }
    }

    /// From `USER:PASSWORD`; `None` without a colon or a user.
    pub fn parse(text: &str) -> Option<Login> {
        let (user, password) = text.split_once(':')?;
        (!user.is_empty()).then(|| Login::new(user, password))
    }

    /// User and password, for another check of them. A credential: not for logs.
    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }

    /// `user:password@` for a URI, percent-encoded. A credential: not for logs.
    pub(crate) fn userinfo(&self) -> String {
        let escape = |text: &str| -> String {
            text.bytes()
                .map(|b| match b {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        char::from(b).to_string()
                    }
                    _ => format!("%{b:02X}"),
                })
                .collect()
        };
        format!("{}:{}@", escape(&self.user), escape(&self.password))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// The nonce of one connection.
pub(crate) struct Challenge {
    nonce: String,
}

impl Challenge {
    pub fn new() -> Challenge {
        Challenge { nonce: format!("{:032x}", rand::random::<u128>()) }
    }

    /// The value of `WWW-Authenticate`.
    pub fn header(&self) -> String {
        format!("Digest realm=\"{REALM}\", nonce=\"{}\"", self.nonce)
    }

    /// Whether the request carries the right answer.
    pub fn accepts(&self, request: &Request, login: &Login) -> bool {
        let Some(fields) = request.header("Authorization").and_then(|v| v.strip_prefix("Digest ")) else {
            return false;
        };
        let field = |name: &str| field(fields, name);
        let (Some(uri), Some(response)) = (field("uri"), field("response")) else { return false };
        if field("username") != Some(&login.user) || field("nonce") != Some(&self.nonce) {
            return false;
        }
        let first = hash(&[&login.user, REALM, &login.password]);
        let second = hash(&[&request.method, uri]);
        let expected = match (field("qop"), field("nc"), field("cnonce")) {
            (Some(qop), Some(count), Some(cnonce)) => {
                hash(&[&first, &self.nonce, count, cnonce, qop, &second])
            }
            _ => hash(&[&first, &self.nonce, &second]),
        };
        expected.eq_ignore_ascii_case(response)
    }
}

fn hash(parts: &[&str]) -> String {
    Md5::digest(parts.join(":").as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// The value of `name` in a list `name="value", name=value`.
fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = fields;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim(), &after[end..])
            }
        };
        if key.trim_matches([' ', ',', '\t']).eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Parsed, parse};
    use super::*;

    fn request(authorization: &str) -> Request {
        let text = format!("DESCRIBE rtsp://h/cam/1/sub RTSP/1.0\r\nAuthorization: {authorization}\r\n\r\n");
        match parse(text.as_bytes()) {
            Parsed::Request(request, _) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn right_answer_passes_and_wrong_ones_do_not() {
        let challenge = Challenge { nonce: "n".into() };
        let login = Login::new("viewer", "a:b\"c");
        let answer = |password: &str, nonce: &str| {
            let first = hash(&["viewer", REALM, password]);
            let response = hash(&[&first, nonce, &hash(&["DESCRIBE", "rtsp://h/cam/1/sub"])]);
            format!(
                "Digest username=\"viewer\", realm=\"{REALM}\", nonce=\"{nonce}\", \
                 uri=\"rtsp://h/cam/1/sub\", response=\"{response}\""
            )
        };
        assert!(challenge.accepts(&request(&answer("a:b\"c", "n")), &login));
        assert!(!challenge.accepts(&request(&answer("wrong", "n")), &login));
        assert!(!challenge.accepts(&request(&answer("a:b\"c", "old")), &login));
        assert!(!challenge.accepts(&request("Basic dmlld2VyOmE="), &login));
    }

    #[test]
    fn rfc_2617_example() {
        let first = hash(&["Mufasa", "testrealm@host.com", "Circle Of Life"]);
        let second = hash(&["GET", "/dir/index.html"]);
        let response =
            hash(&[&first, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b", "auth", &second]);
        assert_eq!(response, "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn nothing_prints_the_password() {
        let login = Login::new("viewer", "hunter2");
        assert!(!format!("{login:?}").contains("hunter2"));
        assert_eq!(Login::new("a@b", "c/d").userinfo(), "a%40b:c%2Fd@");
    }
}
