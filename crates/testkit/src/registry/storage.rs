//! What the registry holds.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Storage {
    repositories: BTreeMap<String, Repository>,
    uploads: BTreeMap<String, Vec<u8>>,
    uploads_begun: usize,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    tags: BTreeMap<String, String>,
}

impl Storage {
    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<&[u8]> {
        self.repositories.get(repository)?.blobs.get(digest).map(Vec::as_slice)
    }

    pub(super) fn put_blob(&mut self, repository: &str, digest: &str, bytes: Vec<u8>) {
        self.repository(repository).blobs.insert(digest.to_owned(), bytes);
    }

    /// Finds a manifest by tag or digest.
    pub(super) fn manifest(&self, repository: &str, target: &str) -> Option<(&str, &[u8])> {
        let repository = self.repositories.get(repository)?;
        let digest = repository.tags.get(target).map_or(target, String::as_str);
        let (media_type, bytes) = repository.manifests.get(digest)?;
        Some((media_type, bytes))
    }

    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        digest: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) {
        let manifests = &mut self.repository(repository).manifests;
        manifests.insert(digest.to_owned(), (media_type.to_owned(), bytes));
    }

    pub(super) fn put_tag(&mut self, repository: &str, tag: &str, digest: &str) {
        self.repository(repository).tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Removes a tag, or a manifest with its tags; tells whether it was there.
    pub(super) fn remove_manifest(&mut self, repository: &str, target: &str) -> bool {
        let repository = self.repository(repository);
        if repository.tags.remove(target).is_some() {
            return true;
        }
        repository.tags.retain(|_, digest| digest != target);
        repository.manifests.remove(target).is_some()
    }

    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        Some(self.repositories.get(repository)?.tags.keys().cloned().collect())
    }

    pub(super) fn begin_upload(&mut self) -> String {
        self.uploads_begun += 1;
        let id = format!("upload-{}", self.uploads_begun);
        self.uploads.insert(id.clone(), Vec::new());
        id
    }

    pub(super) fn upload(&mut self, id: &str) -> Option<&mut Vec<u8>> {
        self.uploads.get_mut(id)
    }

    pub(super) fn end_upload(&mut self, id: &str) -> Option<Vec<u8>> {
        self.uploads.remove(id)
    }

    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}
