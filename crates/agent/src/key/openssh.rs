//! The format of OpenSSH (its `PROTOCOL.key`).
//!
//! ```text
//! "openssh-key-v1" NUL
//! string cipher, string kdf, string kdf options     "none", "none", "" unless encrypted
//! uint32 number of keys                             1
//! string public key
//! string   uint32 check, uint32 check               the same twice
//!          string type, …numbers…, string comment
//!          padding 1, 2, 3, …
//! ```

use ring::rsa::{KeyPairComponents, PublicKeyComponents};

use super::remainder::remainder;
use super::{Curve, KeyError, PrivateKey};
use crate::wire::Reader;

const MAGIC: &[u8] = b"openssh-key-v1\0";

pub(super) fn read(bytes: &[u8]) -> Result<PrivateKey, KeyError> {
    const DAMAGED: KeyError = KeyError::Damaged { format: "OpenSSH" };
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(DAMAGED);
    }
    let cipher = reader.string().ok_or(DAMAGED)?;
    if cipher != b"none" {
        return Err(KeyError::Encrypted);
    }
    let (_kdf, _options) = (reader.string().ok_or(DAMAGED)?, reader.string().ok_or(DAMAGED)?);
    if reader.number() != Some(1) {
        return Err(DAMAGED);
    }
    let _public = reader.string().ok_or(DAMAGED)?;
    let mut secret = Reader::new(reader.string().ok_or(DAMAGED)?);
    if secret.number().ok_or(DAMAGED)? != secret.number().ok_or(DAMAGED)? {
        return Err(DAMAGED);
    }
    let algorithm = secret.string().ok_or(DAMAGED)?;
    if algorithm == b"ssh-ed25519" {
        let public = secret.string().ok_or(DAMAGED)?;
        let (seed, _public_again) =
            secret.string().and_then(|both| both.split_at_checked(32)).ok_or(DAMAGED)?;
        return PrivateKey::ed25519(seed, public, comment(secret).ok_or(DAMAGED)?);
    }
    if let Some(curve) = Curve::ALL.iter().find(|curve| curve.algorithm().as_bytes() == algorithm) {
        let _name = secret.string().ok_or(DAMAGED)?;
        let point = secret.string().ok_or(DAMAGED)?;
        let number = secret.magnitude().ok_or(DAMAGED)?;
        return PrivateKey::ecdsa(*curve, number, point, comment(secret).ok_or(DAMAGED)?);
    }
    if algorithm == b"ssh-rsa" {
        let mut next = || secret.magnitude().ok_or(DAMAGED);
        let (modulus, public, d, inverse, p, q) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        let comment = comment(secret).ok_or(DAMAGED)?;
        // A prime is odd, so one less has the lowest bit off.
        let exponent = |prime: &[u8]| {
            let mut less = prime.to_vec();
            *less.last_mut()? &= !1;
            less.iter().any(|byte| *byte != 0).then(|| remainder(d, &less))
        };
        let (dp, dq) = (exponent(p).ok_or(DAMAGED)?, exponent(q).ok_or(DAMAGED)?);
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: modulus, e: public },
            d,
            p,
            q,
            dP: &dp,
            dQ: &dq,
            qInv: inverse,
        };
        return PrivateKey::rsa(&components, comment);
    }
    Err(KeyError::Unsupported { algorithm: String::from_utf8_lossy(algorithm).into_owned() })
}

fn comment(mut secret: Reader<'_>) -> Option<String> {
    let comment = String::from_utf8_lossy(secret.string()?).into_owned();
    let is_padding = (1u8..).zip(secret.rest()).all(|(expected, byte)| expected == *byte);
    is_padding.then_some(comment)
}
