//! Whose machine this is, as far as its firmware says.

use std::path::Path;

use crate::error::IdentityError;

/// Is who owns the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Amazon,
    Google,
    Microsoft,
}

const DIRECTORY: &str = "/sys/class/dmi/id";

/// What virtual machines of clouds are told apart by; an ordinary user may read all of it.
const FILES: &[&str] = &[
    "bios_vendor",
    "bios_version",
    "board_vendor",
    "chassis_asset_tag",
    "product_name",
    "sys_vendor",
];

/// Whether the machine may have a metadata server of this owner. Where it says nothing, as in some sandboxes, it may.
///
/// On a laptop or in another cloud, waiting for the answer of an address that nobody has would be all that comes of
/// asking.
pub(crate) fn may_be_of(owner: Owner) -> bool {
    let directory = Path::new(DIRECTORY);
    let texts = FILES.iter().filter_map(|file| std::fs::read_to_string(directory.join(file)).ok());
    says(&texts.collect::<Vec<_>>(), owner)
}

/// What a metadata server says that nobody named. Whatever answers in its place, or does not, means that there is
/// nobody to be.
pub(crate) fn unnamed<T>(asked: Result<T, IdentityError>) -> Option<T> {
    asked.inspect_err(|error| tracing::debug!(?error, "no metadata server gives an identity")).ok()
}

fn says(texts: &[String], owner: Owner) -> bool {
    let word = match owner {
        Owner::Amazon => "amazon",
        Owner::Google => "google",
        // The asset tag of every machine of Azure; Hyper-V elsewhere has the vendor's name too.
        Owner::Microsoft => "7783-7084-3265-9085-8269-3286-77",
    };
    let mut texts = texts.iter().map(|text| text.trim().to_ascii_lowercase()).peekable();
    texts.peek().is_none() || texts.any(|text| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_say_whose_they_are() {
        let azure = "7783-7084-3265-9085-8269-3286-77\n";
        for (texts, amazon, google, microsoft) in [
            (&[][..], true, true, true),
            (&["Amazon EC2\n", "1.0\n"], true, false, false),
            (&["Xen\n", "4.11.amazon\n"], true, false, false),
            (&["Google\n", "Google Compute Engine\n"], false, true, false),
            (&["Microsoft Corporation\n", azure], false, false, true),
            (&["Microsoft Corporation\n", "Hyper-V\n"], false, false, false),
            (&["QEMU\n"], false, false, false),
        ] {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            let found =
                [Owner::Amazon, Owner::Google, Owner::Microsoft].map(|one| says(&texts, one));
            assert_eq!(found, [amazon, google, microsoft], "{texts:?}");
        }
    }
}
