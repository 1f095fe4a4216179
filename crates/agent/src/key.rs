//! Private keys, from the file formats of OpenSSH and OpenSSL.

mod openssh;
mod pem;
mod remainder;

use std::fmt;

use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};

use crate::wire::{put_magnitude, put_string};
use pem::Pem;

/// Why a file gives no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It holds something else.
    #[error("it holds no private key in a format of OpenSSH or PKCS#8")]
    NotAKey,
    /// A passphrase is needed.
    #[error("the key is encrypted with a passphrase")]
    Encrypted,
    /// A key that this agent cannot sign with.
    #[error("keys of type `{algorithm}` are not supported")]
    Unsupported {
        /// Its type, as the file says it.
        algorithm: String,
    },
    /// It begins as a key and then is none.
    #[error("the {format} key is damaged")]
    Damaged {
        /// What it should have been.
        format: &'static str,
    },
    /// Its numbers do not belong together, or are of a size that nobody should use.
    #[error("the {algorithm} key is inconsistent or of an unusual size ({reason})")]
    Rejected {
        /// The type of the key.
        algorithm: &'static str,
        /// What the library says.
        reason: String,
    },
}

/// How an RSA key signs: the flags of the request choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RsaHash {
    Sha256,
    Sha512,
}

/// A key that can sign. Shown nowhere, not even while debugging.
pub struct PrivateKey {
    kind: Kind,
    comment: String,
}

enum Kind {
    Ed25519(Ed25519KeyPair),
    Ecdsa(Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

impl Curve {
    const ALL: [Self; 2] = [Self::P256, Self::P384];

    fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
        }
    }

    fn algorithm(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
        }
    }

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// The object identifier in DER.
    fn identifier(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            Self::P384 => &[0x06, 5, 0x2b, 0x81, 4, 0, 0x22],
        }
    }
}

impl PrivateKey {
    /// Reads the text of a key file: what `ssh-keygen` writes with any `-m`, and PKCS#8 of others.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let Pem { label, is_encrypted, bytes } = pem::read(text).ok_or(KeyError::NotAKey)?;
        if is_encrypted {
            return Err(KeyError::Encrypted);
        }
        let kind = match label.as_str() {
            "OPENSSH PRIVATE KEY" => return openssh::read(&bytes),
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
            "PRIVATE KEY" => of_pkcs8(&bytes)?,
            "RSA PRIVATE KEY" => {
                Kind::Rsa(RsaKeyPair::from_der(&bytes).map_err(|error| rejected("RSA", &error))?)
            }
            "EC PRIVATE KEY" => of_sec1(&bytes)?,
            "DSA PRIVATE KEY" => {
                return Err(KeyError::Unsupported { algorithm: "ssh-dss".to_owned() });
            }
            _ => return Err(KeyError::NotAKey),
        };
        Ok(Self { kind, comment: String::new() })
    }

    fn ed25519(seed: &[u8], public: &[u8], comment: String) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public)
            .map_err(|error| rejected("Ed25519", &error))?;
        Ok(Self { kind: Kind::Ed25519(pair), comment })
    }

    fn ecdsa(curve: Curve, secret: &[u8], point: &[u8], comment: String) -> Result<Self, KeyError> {
        // The library wants as many bytes as the curve has, and an `mpint` has as few as it can.
        let mut padded = vec![0; curve.bytes().saturating_sub(secret.len())];
        padded.extend(secret);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            curve.signing(),
            &padded,
            point,
            &SystemRandom::new(),
        )
        .map_err(|error| rejected("ECDSA", &error))?;
        Ok(Self { kind: Kind::Ecdsa(curve, pair), comment })
    }

    fn rsa(components: &KeyPairComponents<&[u8]>, comment: String) -> Result<Self, KeyError> {
        let pair =
            RsaKeyPair::from_components(components).map_err(|error| rejected("RSA", &error))?;
        Ok(Self { kind: Kind::Rsa(pair), comment })
    }

    /// What the key is called: the comment of the file, if its format has one.
    pub(crate) fn comment(&self) -> &str {
        &self.comment
    }

    /// The public key, as in the second column of `authorized_keys`.
    pub(crate) fn public(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        match &self.kind {
            Kind::Ed25519(pair) => {
                put_string(&mut blob, b"ssh-ed25519");
                put_string(&mut blob, pair.public_key().as_ref());
            }
            Kind::Ecdsa(curve, pair) => {
                put_string(&mut blob, curve.algorithm().as_bytes());
                put_string(&mut blob, curve.name().as_bytes());
                put_string(&mut blob, pair.public_key().as_ref());
            }
            Kind::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                put_string(&mut blob, b"ssh-rsa");
                put_magnitude(&mut blob, &public.e);
                put_magnitude(&mut blob, &public.n);
            }
        }
        blob
    }

    /// The signature of `data` with its algorithm in front; nothing if the key cannot sign so. An RSA key
    /// without a hash would use SHA-1, which no server takes any more.
    pub(crate) fn sign(&self, data: &[u8], hash: Option<RsaHash>) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let (algorithm, signature) = match &self.kind {
            Kind::Ed25519(pair) => ("ssh-ed25519", pair.sign(data).as_ref().to_vec()),
            Kind::Ecdsa(curve, pair) => {
                let fixed = pair.sign(&random, data).ok()?;
                let (r, s) = fixed.as_ref().split_at_checked(curve.bytes())?;
                let mut both = Vec::new();
                put_magnitude(&mut both, r);
                put_magnitude(&mut both, s);
                (curve.algorithm(), both)
            }
            Kind::Rsa(pair) => {
                let (algorithm, padding) = match hash? {
                    RsaHash::Sha256 => ("rsa-sha2-256", &RSA_PKCS1_SHA256),
                    RsaHash::Sha512 => ("rsa-sha2-512", &RSA_PKCS1_SHA512),
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, data, &mut signature).ok()?;
                (algorithm, signature)
            }
        };
        let mut blob = Vec::new();
        put_string(&mut blob, algorithm.as_bytes());
        put_string(&mut blob, &signature);
        Some(blob)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

fn rejected(algorithm: &'static str, error: &ring::error::KeyRejected) -> KeyError {
    KeyError::Rejected { algorithm, reason: error.to_string() }
}

/// Each reader looks at the object identifier first, so the one that gets further is the one that is meant.
fn of_pkcs8(bytes: &[u8]) -> Result<Kind, KeyError> {
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes) {
        return Ok(Kind::Ed25519(pair));
    }
    for curve in Curve::ALL {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve.signing(), bytes, &SystemRandom::new()) {
            return Ok(Kind::Ecdsa(curve, pair));
        }
    }
    match RsaKeyPair::from_pkcs8(bytes) {
        Ok(pair) => Ok(Kind::Rsa(pair)),
        Err(error) if error.to_string() == "WrongAlgorithm" => Err(KeyError::Unsupported {
            algorithm: "PKCS#8 that is no Ed25519, P-256, P-384 or RSA key".into(),
        }),
        Err(error) => Err(rejected("PKCS#8", &error)),
    }
}

/// Puts the older form of elliptic curves into PKCS#8, which has it inside (RFC 5958, RFC 5915).
fn of_sec1(bytes: &[u8]) -> Result<Kind, KeyError> {
    const VERSION: &[u8] = &[0x02, 1, 0];
    const PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;

    for curve in Curve::ALL {
        let algorithm = der(SEQUENCE, &[PUBLIC_KEY, curve.identifier()].concat());
        let pkcs8 = der(SEQUENCE, &[VERSION, &algorithm, &der(OCTETS, bytes)].concat());
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve.signing(), &pkcs8, &SystemRandom::new()) {
            return Ok(Kind::Ecdsa(curve, pair));
        }
    }
    Err(KeyError::Unsupported { algorithm: "an elliptic curve other than P-256 and P-384".into() })
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut written = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => written.push(short),
        Ok(_) | Err(_) => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let count =
                u8::try_from(bytes.len() - zeros).expect("a length has eight bytes at most");
            written.push(0x80 | count);
            written.extend(&bytes[zeros..]);
        }
    }
    written.extend(content);
    written
}
