//! Peer URLs, read and written back as Go's `net/url` does: ids are made from the text that comes out.
//!
//! `client/pkg/types/urls.go NewURLs` @ v3.6, with its messages. A name is never looked up.

use std::net::{IpAddr, SocketAddr};

use crate::codec::go::go_quote;

/// The URLs of one member, sorted.
///
/// # Errors
/// etcd's message about the first that cannot be.
pub fn peer_urls<'u>(texts: impl IntoIterator<Item = &'u str>) -> Result<Vec<String>, String> {
    let mut urls = texts.into_iter().map(peer_url).collect::<Result<Vec<_>, _>>()?;
    urls.sort();
    if urls.is_empty() { Err("no valid URLs given".to_owned()) } else { Ok(urls) }
}

fn peer_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let url = Url::parse(text).map_err(|why| format!("parse {}: {why}", go_quote(text.as_bytes())))?;
    match url.scheme.as_str() {
        "http" | "https" => {
            if !has_port(url.host.unwrap_or_default()) {
                return Err(format!("URL address does not have the form \"host:port\": {text}"));
            }
            if !url.path.is_empty() {
                return Err(format!("URL must not contain a path: {text}"));
            }
        }
        "unix" | "unixs" => {}
        _ => return Err(format!("URL scheme must be http, https, unix, or unixs: {text}")),
    }
    Ok(url.to_text())
}

/// The URL with its address as Go writes it (`net.ResolveTCPAddr`, by which `netutil.URLStringsEqual` compares them);
/// a name of a host stays, none is looked up.
#[must_use]
pub(super) fn by_address(url: &str) -> String {
    let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else { return url.to_owned() };
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (host, more) = rest.split_at(end);
    let Some((name, port)) = host.rsplit_once(':') else { return url.to_owned() };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let (Ok(address), Ok(port)) = (name.parse::<IpAddr>(), port.parse::<u16>()) else {
        return url.to_owned();
    };
    let user = user.map_or_else(String::new, |user| format!("{user}@"));
    format!("{scheme}://{user}{}{more}", SocketAddr::new(address.to_canonical(), port))
}

#[derive(Debug, Clone, Default)]
struct Url<'u> {
    scheme: String,
    /// What follows the colon when no slash does.
    opaque: Option<&'u str>,
    user: Option<&'u str>,
    host: Option<&'u str>,
    path: String,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

impl<'u> Url<'u> {
    fn parse(text: &'u str) -> Result<Url<'u>, String> {
        let (rest, fragment) = cut(text, '#');
        if text.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (scheme, rest) = scheme(rest)?;
        let (rest, query) = cut(rest, '?');
        let mut url = Url { scheme: scheme.to_ascii_lowercase(), query, fragment, ..Url::default() };
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = Some(rest);
                return Ok(url);
            }
            let first = rest.split('/').next().unwrap_or_default();
            if first.contains(':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let mut path = rest;
        if let Some(after) = rest.strip_prefix("//")
            && (!url.scheme.is_empty() || !after.starts_with('/'))
        {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, rest) = after.split_at(end);
            path = rest;
            let (user, host) =
                authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
            check_host(host)?;
            if user.is_some_and(|u| !u.bytes().all(is_user)) {
                return Err("net/url: invalid userinfo".to_owned());
            }
            (url.user, url.host) = (user, Some(host));
        }
        url.path = escaped_path(path)?;
        Ok(url)
    }

    /// `URL.String`.
    fn to_text(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if let Some(opaque) = self.opaque {
            out.push_str(opaque);
        } else {
            if self.host.is_some_and(|h| !h.is_empty())
                || self.user.is_some()
                || self.path.starts_with('/')
                || self.host.is_some()
            {
                out.push_str("//");
            }
            if let Some(user) = self.user {
                out.push_str(user);
                out.push('@');
            }
            out.push_str(self.host.unwrap_or_default());
            out.push_str(&self.path);
        }
        if let Some(query) = self.query {
            out.push('?');
            out.push_str(query);
        }
        if let Some(fragment) = self.fragment.filter(|f| !f.is_empty()) {
            out.push('#');
            out.push_str(fragment);
        }
        out
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// `getScheme`.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok(text.split_once(':').unwrap_or(("", text))),
            _ => break,
        }
    }
    Ok(("", text))
}

/// `parseHost`, for what it refuses.
fn check_host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        let Some((_, after)) = host.rsplit_once(']') else { return Err("missing ']' in host".to_owned()) };
        after
    } else {
        host.rfind(':').and_then(|at| host.get(at..)).unwrap_or_default()
    };
    let digits = port.strip_prefix(':').unwrap_or(if port.is_empty() { "" } else { "x" });
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("invalid port {} after host", go_quote(port.as_bytes())));
    }
    let allowed =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c);
    if let Some(bad) = host.chars().find(|c| !allowed(*c)) {
        return Err(format!("invalid character {} in host name", go_quote(bad.to_string().as_bytes())));
    }
    Ok(())
}

/// Whether `net.SplitHostPort` takes it.
fn has_port(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(literal) => literal.split_once(']').is_some_and(|(inner, after)| {
            !inner.contains('[') && after.starts_with(':') && !after.contains(']')
        }),
        None => host.matches(':').count() == 1 && !host.contains(['[', ']']),
    }
}

fn is_user(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b)
}

/// `setPath` and `EscapedPath`: what is escaped well stays, the rest is escaped anew.
fn escaped_path(path: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    let mut well = true;
    while let [b, tail @ ..] = rest {
        rest = tail;
        if *b == b'%' {
            let hex = rest.first_chunk::<2>().filter(|h| h.iter().all(u8::is_ascii_hexdigit));
            let byte =
                hex.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
            let Some(byte) = byte else {
                let shown: String =
                    std::iter::once('%').chain(rest.iter().take(2).map(|b| char::from(*b))).collect();
                return Err(format!("invalid URL escape {}", go_quote(shown.as_bytes())));
            };
            bytes.push(byte);
            rest = rest.get(2..).unwrap_or_default();
        } else {
            well &= b.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]".contains(b);
            bytes.push(*b);
        }
    }
    if well {
        return Ok(path.to_owned());
    }
    let mut out = String::with_capacity(path.len());
    for b in bytes {
        if b.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_etcd_takes_comes_out_as_go_prints_it() {
        for (given, due) in [
            ("http://127.0.0.1:2380", "http://127.0.0.1:2380"),
            ("  HTTP://Example.COM:2380 ", "http://Example.COM:2380"),
            ("https://[::1]:2380", "https://[::1]:2380"),
            ("http://:2380", "http://:2380"),
            ("http://u:p@h:1?x=1&y#f", "http://u:p@h:1?x=1&y#f"),
            ("unix:///tmp/a b", "unix:///tmp/a%20b"),
            ("unix://localhost:2380", "unix://localhost:2380"),
            ("unix:relative", "unix:relative"),
            ("unixs:///tmp/%41", "unixs:///tmp/%41"),
        ] {
            assert_eq!(peer_urls([given]), Ok(vec![due.to_owned()]), "{given}");
        }
        let sorted = peer_urls(["http://b:1", "http://a:1"]).unwrap();
        assert_eq!(sorted, ["http://a:1", "http://b:1"]);
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        for (one, other) in [
            ("http://[fd00:0:0:0::1]:2380", "http://[fd00::1]:2380"),
            ("https://[FD00::1]:02380", "https://[fd00::1]:2380"),
            ("http://[::ffff:10.0.0.1]:1", "http://10.0.0.1:1"),
            ("http://u:p@[0::1]:1?x#f", "http://u:p@[::1]:1?x#f"),
        ] {
            assert_eq!(by_address(one), by_address(other));
        }
        for (one, other) in [
            ("http://[fd00::1]:2380", "https://[fd00::1]:2380"),
            ("http://[fd00::1]:2380", "http://[fd00::1]:2381"),
            ("http://localhost:1", "http://127.0.0.1:1"),
            ("http://Example:1", "http://example:1"),
            ("unix://[0::1]:1", "unix://[::1]:1"),
        ] {
            assert_ne!(by_address(one), by_address(other));
        }
    }

    #[test]
    fn what_etcd_refuses_is_refused_in_its_words() {
        for (given, due) in [
            ("", "URL scheme must be http, https, unix, or unixs: "),
            ("localhost:2380", "URL scheme must be http, https, unix, or unixs: localhost:2380"),
            ("ftp://h:1", "URL scheme must be http, https, unix, or unixs: ftp://h:1"),
            ("127.0.0.1:2380", "parse \"127.0.0.1:2380\": first path segment in URL cannot contain colon"),
            ("://h:1", "parse \"://h:1\": missing protocol scheme"),
            ("http://h", "URL address does not have the form \"host:port\": http://h"),
            ("http:h:1", "URL address does not have the form \"host:port\": http:h:1"),
            ("http://[::1]", "URL address does not have the form \"host:port\": http://[::1]"),
            ("http://h:1/", "URL must not contain a path: http://h:1/"),
            ("http://h:x", "parse \"http://h:x\": invalid port \":x\" after host"),
            ("http://[::1:1", "parse \"http://[::1:1\": missing ']' in host"),
            ("http://a b:1", "parse \"http://a b:1\": invalid character \" \" in host name"),
            ("unix:///%zz", "parse \"unix:///%zz\": invalid URL escape \"%zz\""),
            ("http://h:1\n2", "parse \"http://h:1\\n2\": net/url: invalid control character in URL"),
        ] {
            assert_eq!(peer_urls([given]), Err(due.to_owned()), "{given}");
        }
        assert_eq!(peer_urls([]), Err("no valid URLs given".to_owned()));
    }
}
