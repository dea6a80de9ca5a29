//! Reads RTSP requests and interleaved data from a byte stream (RFC 2326).

/// Bytes of a request's head beyond which the client is cut off.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// Bytes of a body (SET_PARAMETER, ANNOUNCE) beyond which the client is cut off.
const MAX_BODY: usize = 64 * 1024;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    pub uri: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header's value; names do not depend on case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What the front of the buffer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Not whole yet.
    Incomplete,
    /// Interleaved data (RTCP of the client), so many bytes with its header.
    Interleaved(usize),
    /// A request and the bytes it took.
    Request(Request, usize),
    /// No RTSP: the connection is to be closed.
    Malformed,
}

/// Looks at the front of `data`.
pub(crate) fn parse(data: &[u8]) -> Parsed {
    if data.first() == Some(&b'$') {
        return match data.get(2..4) {
            Some(len) => {
                let whole = 4 + usize::from(u16::from_be_bytes([len[0], len[1]]));
                if data.len() >= whole { Parsed::Interleaved(whole) } else { Parsed::Incomplete }
            }
            None => Parsed::Incomplete,
        };
    }
    // Stray line ends between requests are allowed.
    let skipped = data.iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
    let head = &data[skipped..];
    let Some(end) = head.windows(4).take(MAX_HEAD).position(|w| w == b"\r\n\r\n") else {
        return if data.len() > MAX_HEAD { Parsed::Malformed } else { Parsed::Incomplete };
    };
    let Some(request) = std::str::from_utf8(&head[..end]).ok().and_then(parse_head) else {
        return Parsed::Malformed;
    };
    let body = match request.header("Content-Length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(length)) if length <= MAX_BODY => length,
        Some(_) => return Parsed::Malformed,
    };
    let whole = skipped + end + 4 + body;
    if data.len() < whole { Parsed::Incomplete } else { Parsed::Request(request, whole) }
}

fn parse_head(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ').filter(|part| !part.is_empty());
    let (method, uri, version) = (first.next()?, first.next()?, first.next()?);
    let known = version == "RTSP/1.0" && first.next().is_none();
    if !known || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
        return None;
    }
    let headers = lines
        .map(|line| line.split_once(':').map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned())))
        .collect::<Option<Vec<_>>>()?;
    Some(Request { method: method.to_owned(), uri: uri.to_owned(), headers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_requests_in_a_row() {
        let text = b"OPTIONS rtsp://h/cam/1/sub RTSP/1.0\r\nCSeq: 1\r\n\r\n$\x01\x00\x02abSET_PARAMETER * RTSP/1.0\r\ncseq: 2\r\ncontent-length: 3\r\n\r\nx:y";
        let Parsed::Request(first, used) = parse(text) else { panic!("no request") };
        assert_eq!((first.method.as_str(), first.header("cseq")), ("OPTIONS", Some("1")));
        let rest = &text[used..];
        assert_eq!(parse(rest), Parsed::Interleaved(6));
        let Parsed::Request(second, used) = parse(&rest[6..]) else { panic!("no second request") };
        assert_eq!((second.method.as_str(), second.header("CSeq")), ("SET_PARAMETER", Some("2")));
        assert_eq!(used, rest.len() - 6);
    }

    #[test]
    fn refuses_what_is_no_rtsp() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Parsed::Malformed);
        assert_eq!(parse(b"PLAY x RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n"), Parsed::Malformed);
        assert_eq!(parse(b"PLAY x RTSP/1.0\r\nno colon\r\n\r\n"), Parsed::Malformed);
        assert_eq!(parse(&vec![b'a'; MAX_HEAD + 1]), Parsed::Malformed);
    }

    proptest! {
        #[test]
        fn never_panics_and_never_overruns(data in proptest::collection::vec(any::<u8>(), 0..600)) {
            match parse(&data) {
                Parsed::Interleaved(n) | Parsed::Request(_, n) => prop_assert!(n > 0 && n <= data.len()),
                Parsed::Incomplete | Parsed::Malformed => {}
            }
        }

        #[test]
        fn a_request_reads_back_and_its_parts_wait(
            method in "[A-Z_]{1,14}", uri in "rtsp://[a-z0-9./]{1,30}",
            headers in proptest::collection::vec(("[A-Z][A-Za-z-]{0,12}X", "[ -9;-~]{0,30}"), 0..6),
            body in "[a-z]{0,40}",
        ) {
            let mut text = format!("{method} {uri} RTSP/1.0\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in &headers {
                text += &format!("{name}: {value}\r\n");
            }
            text += "\r\n";
            text += &body;
            let Parsed::Request(request, used) = parse(text.as_bytes()) else { panic!("{text:?}") };
            prop_assert_eq!(used, text.len());
            prop_assert_eq!((&request.method, &request.uri), (&method, &uri));
            for (name, _) in &headers {
                let first = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim());
                prop_assert_eq!(request.header(name), first);
            }
            for cut in 0..text.len() {
                prop_assert_eq!(parse(&text.as_bytes()[..cut]), Parsed::Incomplete);
            }
        }
    }
}
