use strata_oci::{Descriptor, Digest, Index, MediaType, Platform, PlatformError};

fn parse(text: &str) -> Result<Platform, PlatformError> {
    Platform::parse(text, &Platform::new("linux", "amd64"))
}

#[test]
fn platforms_are_read_as_containerd_reads_them() {
    // (text, as displayed, normalised)
    let table = [
        ("linux", "linux/amd64", "linux/amd64"),
        ("arm64", "linux/arm64", "linux/arm64"),
        ("aarch64", "linux/arm64", "linux/arm64"),
        ("x86_64", "linux/amd64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm", "linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/7", "linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v5", "linux/arm/v5", "linux/arm/v5"),
        ("linux/arm64/v8", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm64", "linux/arm64", "linux/arm64"),
        ("linux/arm64/9", "linux/arm64/v9", "linux/arm64/v9"),
        ("linux/i386", "linux/386", "linux/386"),
        ("Linux/AMD64", "linux/amd64", "linux/amd64"),
        ("macos/arm64", "darwin/arm64", "darwin/arm64"),
        ("windows", "windows/amd64", "windows/amd64"),
        ("linux/riscv64", "linux/riscv64", "linux/riscv64"),
    ];
    for (text, displayed, normalised) in table {
        let platform = parse(text).expect(text);
        assert_eq!(platform.to_string(), displayed, "{text}");
        assert_eq!(platform.normalized().to_string(), normalised, "{text}");
    }
    let windows = parse("windows(10.0.17763+win32k)/amd64").unwrap();
    assert_eq!(
        (windows.os_version.as_str(), &windows.os_features[..]),
        ("10.0.17763", &["win32k".to_owned()][..])
    );
}

#[test]
fn texts_that_are_no_platform_are_named() {
    let table = [
        ("", "`` in platform `` is not a word of letters, digits, `_`, `.` and `-`"),
        ("linux/", "`` in platform `linux/` is not a word of letters, digits, `_`, `.` and `-`"),
        (
            "linux/a*",
            "`a*` in platform `linux/a*` is not a word of letters, digits, `_`, `.` and `-`",
        ),
        ("vax", "platform `vax` is neither a known operating system nor a known architecture"),
        ("a/b/c/d", "platform `a/b/c/d` is not of the form `os/architecture/variant`"),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).expect_err(text).to_string(), expected);
    }
    let incomplete = PlatformError::Incomplete { platform: "linux".to_owned() };
    assert_eq!("linux".parse::<Platform>(), Err(incomplete));
}

/// Wanted, what an index offers → which offer is taken.
#[test]
fn the_best_offer_is_chosen() {
    let table: &[(&str, &[&str], Option<usize>)] = &[
        ("linux/amd64", &["linux/arm64", "linux/amd64"], Some(1)),
        ("linux/amd64", &["linux/386", "linux/amd64"], Some(1)),
        ("linux/amd64", &["linux/386"], Some(0)),
        ("linux/amd64", &["linux/amd64/v2"], None),
        ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], Some(1)),
        ("linux/amd64/v3", &["linux/amd64/v1"], Some(0)),
        ("linux/amd64", &["linux/amd64", "linux/amd64"], Some(0)),
        ("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some(1)),
        ("linux/arm64", &["linux/arm/v6", "linux/arm/v7"], Some(1)),
        ("linux/arm64", &["linux/arm64/v9"], None),
        ("linux/arm64/v9", &["linux/arm64", "linux/arm64/v8.4"], Some(1)),
        ("linux/arm64/v8.2", &["linux/arm64/v8.3", "linux/arm64/v8.1"], Some(1)),
        ("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"], Some(1)),
        ("linux/arm/v6", &["linux/arm/v7"], None),
        ("linux/arm", &["linux/arm/v7"], Some(0)),
        ("linux/amd64/v4000000000", &["linux/amd64"], Some(0)),
        ("linux/s390x", &["linux/amd64"], None),
        ("linux/amd64", &["unknown/unknown", "-"], Some(1)),
        ("linux/amd64", &["-", "linux/amd64"], Some(1)),
        ("linux/amd64", &[], None),
    ];
    for (wanted, offers, expected) in table {
        let rows = offers.iter().enumerate().map(|(at, offer)| {
            let row = Descriptor::of(MediaType::OciManifest, &[u8::try_from(at).unwrap()]);
            match *offer {
                "-" => row,
                offer => row.with_platform(offer.parse().unwrap()),
            }
        });
        let index = Index::new(MediaType::OciIndex, rows.collect());
        let chosen = index.choose(&wanted.parse().unwrap()).map(|row| row.digest);
        let expected = expected.map(|at| Digest::of(&[u8::try_from(at).unwrap()]));
        assert_eq!(chosen, expected, "{wanted} of {offers:?}");
    }
}

#[test]
fn windows_takes_its_own_build_only() {
    let with = |version: &str| Platform {
        os_version: version.to_owned(),
        ..Platform::new("windows", "amd64")
    };
    let table = [
        ("10.0.17763.1", "10.0.17763.9", true),
        ("10.0.17763", "10.0.20348.1", false),
        ("", "10.0.20348.1", true),
    ];
    for (host, offered, fits) in table {
        assert_eq!(with(host).matches(&with(offered)), fits, "{host} {offered}");
    }
}
