//! Files of object stores.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::azure::MicrosoftAzure;
use object_store::gcp::GoogleCloudStorage;
use object_store::path::Path;
use object_store::{GetResult, ObjectStoreExt};

use crate::clouds::Clouds;
use crate::error::StorageError;
use crate::http::{Failure, Way};

mod address;
mod azure;
mod google;
mod s3;

pub use address::{Address, AddressError};

/// Is a file that is on its way.
pub struct Content {
    /// When it was changed, in seconds since 1970.
    pub last_modified: i64,
    /// Its bytes. A connection that breaks is made anew, and the file goes on where it stopped, if it is the same.
    pub pieces: BoxStream<'static, Result<Bytes, StorageError>>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("last_modified", &self.last_modified)
            .finish_non_exhaustive()
    }
}

/// Is a bucket that can be asked.
struct Bucket {
    store: Store,
    /// How the store failed.
    failure: Failure,
    /// How whoever gives credentials for it failed.
    identity: Option<crate::aws::Identity>,
}

/// The stores by their own types: behind a trait object, all that the library can do would be in the program.
enum Store {
    S3(AmazonS3),
    Google(GoogleCloudStorage),
    Azure(MicrosoftAzure),
}

impl Store {
    async fn get(&self, key: &Path) -> object_store::Result<GetResult> {
        match self {
            Self::S3(store) => store.get(key).await,
            Self::Google(store) => store.get(key).await,
            Self::Azure(store) => store.get(key).await,
        }
    }
}

impl Clouds {
    /// Begins to download a file.
    pub async fn open(&self, address: &Address) -> Result<Content, StorageError> {
        let bucket = match address {
            Address::S3 { bucket, .. } => s3::bucket(&self.aws, address, bucket).await?,
            Address::Google { bucket, .. } => google::bucket(&self.google, address, bucket).await?,
            Address::Azure { .. } => azure::container(self, address).await?,
        };
        let key = Path::parse(address.key()).map_err(|error| unaskable(address, &error))?;
        let Bucket { store, failure, identity } = bucket;
        let failed = {
            let address = address.clone();
            move |error: &object_store::Error| {
                if let Some(error) = identity.as_ref().and_then(crate::aws::Identity::failure) {
                    return error.into();
                }
                match failure.take() {
                    Some(kind) => {
                        StorageError::Store { address: address.to_string(), source: Box::new(kind) }
                    }
                    None => unaskable(&address, error),
                }
            }
        };
        let found = store.get(&key).await.map_err(|error| failed(&error))?;
        let last_modified = found.meta.last_modified.timestamp();
        let pieces = found.into_stream().map_err(move |error| failed(&error)).boxed();
        Ok(Content { last_modified, pieces })
    }
}

fn unaskable(address: &Address, error: &dyn std::error::Error) -> StorageError {
    StorageError::Request { address: address.to_string(), problem: error.to_string() }
}

/// How an address is reached that may be one without TLS.
fn way(address: &str) -> Way {
    if address.starts_with("http://") { Way::Chosen } else { Way::Usual }
}
