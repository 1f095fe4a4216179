//! Ports, for EXPOSE: `[[address:]host:]container[/protocol]`, each a number or a range.

use std::net::IpAddr;

/// What an EXPOSE word means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exposed {
    /// Each port as `number/protocol`.
    pub(crate) ports: Vec<String>,
    /// Whether the protocol is written in capitals.
    pub(crate) odd_case: bool,
    /// Whether an address or a host port is given, which mean nothing to EXPOSE.
    pub(crate) mapped: bool,
}

pub(crate) fn parse(text: &str) -> Result<Exposed, &'static str> {
    let mut parts = text.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let host = parts.next().unwrap_or_default();
    let address = parts.next().unwrap_or_default();
    let (port, protocol) = container.split_once('/').unwrap_or((container, ""));
    if port.is_empty() {
        return Err("no port is given");
    }
    let lower = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => return Err("the protocol must be `tcp`, `udp` or `sctp`"),
    };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if !address.is_empty() && bare.unwrap_or(address).parse::<IpAddr>().is_err() {
        return Err("the address is invalid");
    }
    let (first, last) = range(port)?;
    if !host.is_empty() {
        let (host_first, host_last) = range(host)?;
        if last - first != host_last - host_first && first != last {
            return Err("the ranges have different lengths");
        }
    }
    Ok(Exposed {
        ports: (first..=last).map(|number| format!("{number}/{lower}")).collect(),
        odd_case: protocol.chars().any(char::is_uppercase),
        mapped: !address.is_empty() || !host.is_empty(),
    })
}

fn range(text: &str) -> Result<(u16, u16), &'static str> {
    let number = |text: &str| text.parse::<u16>().map_err(|_| "ports are numbers from 0 to 65535");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if last < first { Err("the range ends before it begins") } else { Ok((first, last)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges() {
        for (text, expected) in [
            ("80", Ok(vec!["80/tcp"])),
            ("80/TCP", Ok(vec!["80/tcp"])),
            ("80/", Ok(vec!["80/tcp"])),
            ("7-9/udp", Ok(vec!["7/udp", "8/udp", "9/udp"])),
            ("8080:80", Ok(vec!["80/tcp"])),
            ("127.0.0.1:8080:80", Ok(vec!["80/tcp"])),
            ("[::1]:8080:80", Ok(vec!["80/tcp"])),
            ("8000-8001:80", Ok(vec!["80/tcp"])),
            ("80-83:90-91", Err("the ranges have different lengths")),
            ("x:1:80", Err("the address is invalid")),
            ("65536", Err("ports are numbers from 0 to 65535")),
            ("9-7", Err("the range ends before it begins")),
            ("/tcp", Err("no port is given")),
            ("80/icmp", Err("the protocol must be `tcp`, `udp` or `sctp`")),
        ] {
            let found = parse(text).map(|exposed| exposed.ports);
            let expected =
                expected.map(|ports| ports.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, expected, "{text}");
        }
    }
}
