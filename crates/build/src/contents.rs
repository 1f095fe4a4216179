//! Opens what a [`Content`] points at: the one place where trees of metadata meet bytes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use strata_context::Context;
use strata_layer::{Content, OpenContent};
use strata_sys::Root;

/// Where contents come from during one build.
#[derive(Debug, Default)]
pub struct Contents {
    contexts: BTreeMap<u32, Arc<Context>>,
    // Directories stay open for the whole build; there is one for each layer on disk, not for each file.
    roots: Mutex<HashMap<Arc<Path>, Arc<Root>>>,
}

impl Contents {
    /// Contents of these contexts, and of whatever is on disk.
    pub fn new(contexts: BTreeMap<u32, Arc<Context>>) -> Self {
        Self { contexts, roots: Mutex::default() }
    }

    fn root(&self, directory: &Arc<Path>) -> io::Result<Arc<Root>> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = roots.get(directory) {
            return Ok(Arc::clone(root));
        }
        let root = Arc::new(Root::open(directory).map_err(io::Error::other)?);
        roots.insert(Arc::clone(directory), Arc::clone(&root));
        Ok(root)
    }
}

impl OpenContent for Contents {
    fn open(&self, content: &Content, size: u64) -> io::Result<Box<dyn Read + Send>> {
        match content {
            Content::Inline(bytes) => Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            Content::Context { context, path } => {
                let context = self.contexts.get(context).ok_or(io::ErrorKind::NotFound)?;
                Ok(Box::new(context.open_file(path).map_err(io::Error::other)?))
            }
            Content::Disk { directory, path } => {
                let root = self.root(directory)?;
                Ok(Box::new(root.open_file(path.as_bytes()).map_err(io::Error::other)?))
            }
            Content::Slice { file, offset } => {
                let mut file = File::open(file)?;
                file.seek(SeekFrom::Start(*offset))?;
                Ok(Box::new(file.take(size)))
            }
            Content::Layer { .. } => {
                Err(io::Error::other("the bytes of a layer were not gathered before use"))
            }
        }
    }
}
