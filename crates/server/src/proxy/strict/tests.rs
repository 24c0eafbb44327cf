use super::*;

/// Reads in pieces of every length. What passes, and the reader at the end.
fn read(text: &str) -> (Vec<u8>, Reader) {
    let mut all = Vec::new();
    for length in 1..=text.len() {
        let (mut passed, mut reader) = (Vec::new(), Reader::default());
        for piece in text.as_bytes().chunks(length) {
            let mut piece = piece.to_vec();
            let most = reader.read(&mut piece);
            passed.extend_from_slice(&piece[..most]);
        }
        all.push((passed, reader));
    }
    let (first, reader) = all.pop().unwrap();
    assert!(all.iter().all(|(passed, _)| *passed == first), "{text:?} is read otherwise in pieces");
    (first, reader)
}

fn is_refused(reader: &Reader) -> bool {
    matches!(reader.at, At::Refused { .. })
}

fn passes(text: &str) -> bool {
    let (passed, reader) = read(text);
    assert_eq!(is_refused(&reader), passed != text.as_bytes(), "{text:?}");
    !is_refused(&reader)
}

#[test]
fn plain_requests_pass_one_after_the_other() {
    for body in [
        "\r\n",
        "Content-Length: 0\r\n\r\n",
        "content-length: 5\r\n\r\na\nb\nc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0a;x=1\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
        "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
    ] {
        let one = format!("POST /a?b HTTP/1.1\r\nHost: x\r\n{body}");
        let (_, reader) = read(&one);
        assert!(passes(&one) && !reader.is_in_body() && !reader.is_in_head(), "{one:?}");
        assert!(passes(&format!("{one}\r\n{one}")));
        let smuggled = format!("{one}GET / HTTP/1.1\r\nHost: x\n\r\n");
        assert!(!passes(&smuggled), "the reader lost its place: {smuggled:?}");
    }
}

#[test]
fn what_two_may_read_differently_is_refused() {
    for head in [
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\r\n",
    ] {
        assert!(!passes(head), "{head:?}");
        assert_eq!(read(head).0.last(), Some(&0), "hyper must see a byte that no head may hold: {head:?}");
    }
}

#[test]
fn http_2_and_tunnels_are_not_read() {
    assert!(passes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\0"));
    let mut reader = Reader::default();
    reader.let_through();
    assert_eq!(reader.read(&mut [b'\n'; 4]), 4);
}

#[test]
fn it_is_known_whether_a_head_or_body_is_whole() {
    let state = |text| {
        let (_, reader) = read(text);
        (reader.is_in_head(), reader.is_in_body())
    };
    assert_eq!(state("G"), (true, false));
    assert_eq!(state("GET / HTTP/1.1\r\nHost"), (true, false));
    assert_eq!(state("GET / HTTP/1.1\r\n\r\n"), (false, false));
    assert_eq!(state("GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\na"), (false, true));
    assert_eq!(state("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"), (false, true));
}
