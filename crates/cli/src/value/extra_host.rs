//! `--add-host NAME:ADDRESS`.

use std::net::IpAddr;

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExtraHostError {
    #[error("`{text}` is not `NAME:ADDRESS`")]
    NotAPair { text: String },
    #[error(
        "`host-gateway` is not built yet: commands run without a bridge, give the address itself"
    )]
    Gateway,
    #[error("`{address}` is not an IP address")]
    Address { address: String },
}

/// Reads `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may be in brackets.
pub(crate) fn parse(text: &str) -> Result<(String, IpAddr), ExtraHostError> {
    let pair = text.split_once('=').or_else(|| text.split_once(':'));
    let Some((name, address)) =
        pair.filter(|(name, address)| !name.is_empty() && !address.is_empty())
    else {
        return Err(ExtraHostError::NotAPair { text: text.to_owned() });
    };
    if address == "host-gateway" {
        return Err(ExtraHostError::Gateway);
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(address).parse() {
        Ok(parsed) => Ok((name.to_owned(), parsed)),
        Err(_) => Err(ExtraHostError::Address { address: address.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn host_is_read() {
        let four = Ok(("a".to_owned(), IpAddr::from(Ipv4Addr::new(10, 0, 0, 1))));
        let six = Ok(("a".to_owned(), IpAddr::from(Ipv6Addr::LOCALHOST)));
        for (text, expected) in [
            ("a:10.0.0.1", four.clone()),
            ("a=10.0.0.1", four),
            ("a:::1", six.clone()),
            ("a=[::1]", six),
            ("a:host-gateway", Err(ExtraHostError::Gateway)),
            ("a", Err(ExtraHostError::NotAPair { text: "a".into() })),
            ("a:b", Err(ExtraHostError::Address { address: "b".into() })),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
