//! The clouds, seen from outside: contexts of their object stores, and credentials for their registries that nobody
//! configured. Nothing of it is ever shown.

mod contexts;
mod helpers;
mod sources;

use anyhow::{Result, ensure};
use strata_testkit::{Ran, TestCloud};

/// Nothing secret is seen, whatever was asked for.
fn discreet(ran: &Ran) -> Result<()> {
    for secret in TestCloud::SECRETS {
        ensure!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret}: {ran:#?}");
    }
    Ok(())
}
