//! The tags of a repository: listing them, and removing what they point to.

use reqwest::header::LINK;
use reqwest::{Method, Response, Url};
use serde::Deserialize;
use strata_oci::{Digest, Repository};

use crate::auth::{Access, Scopes};
use crate::client::{Client, Endpoint};
use crate::error::{ErrorKind, Operation, RegistryError};
use crate::exchange::{Request, read_bounded};

/// The longest page of tags that is read.
const LONGEST: usize = 4 << 20;
/// More pages mean a registry that goes in circles.
const PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Client {
    /// Lists the tags of a repository, in the registry's order.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        let endpoint = self.origin(repository);
        let mut tags = Vec::new();
        let mut next = None;
        for _ in 0..PAGES {
            let mut attempts = self.attempts();
            let (page, after) = loop {
                match self.page(&endpoint, next.as_ref()).await {
                    Ok(page) => break page,
                    Err(kind) => attempts
                        .wait_after(kind)
                        .await
                        .map_err(|kind| endpoint.error(Operation::ListTags, kind))?,
                }
            };
            tags.extend(page);
            next = after;
            if next.is_none() {
                return Ok(tags);
            }
        }
        let what = format!("its list of tags has more than {PAGES} pages");
        Err(endpoint.error(Operation::ListTags, ErrorKind::Protocol { what }))
    }

    async fn page(
        &self,
        endpoint: &Endpoint,
        next: Option<&Url>,
    ) -> Result<(Vec<String>, Option<Url>), ErrorKind> {
        let first = self.url(&endpoint.host, &format!("v2/{}/tags/list", endpoint.path)).await?;
        let url = next.cloned().unwrap_or_else(|| first.clone());
        let request =
            Request::new(Method::GET, url.clone(), Scopes::of(&endpoint.path, Access::Pull));
        let response = self.exchange(&endpoint.host, &request).await?;
        // A page of another server is none of this repository's.
        let next = next_page(&response, &url).filter(|next| next.origin() == first.origin());
        let bytes = read_bounded(response, LONGEST, self.timeouts().idle).await?;
        let page: Page = serde_json::from_slice(&bytes)
            .map_err(|_| ErrorKind::Protocol { what: "its list of tags is none".to_owned() })?;
        Ok((page.tags.unwrap_or_default(), next))
    }

    /// Removes a manifest, and with it every tag that points to it. Registries may not allow that.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        digest: Digest,
    ) -> Result<(), RegistryError> {
        let endpoint = self.origin(repository);
        let operation = Operation::DeleteManifest { digest };
        let mut attempts = self.attempts();
        loop {
            let asked = async {
                let path = format!("v2/{}/manifests/{digest}", endpoint.path);
                let url = self.url(&endpoint.host, &path).await?;
                let scopes = Scopes::of(&endpoint.path, Access::Everything);
                self.exchange(&endpoint.host, &Request::new(Method::DELETE, url, scopes)).await
            };
            match asked.await {
                Ok(_) | Err(ErrorKind::NotFound { .. }) => return Ok(()),
                Err(kind) => attempts
                    .wait_after(kind)
                    .await
                    .map_err(|kind| endpoint.error(operation.clone(), kind))?,
            }
        }
    }
}

/// `Link: </v2/a/tags/list?last=x&n=100>; rel="next"`
fn next_page(response: &Response, page: &Url) -> Option<Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.trim_start().strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then(|| page.join(target).ok())?
}
