//! Buckets of Amazon's, and of servers that speak like it.

use std::net::IpAddr;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;

use super::{Address, Bucket, Store, unaskable, way};
use crate::aws::{Aws, domain};
use crate::error::StorageError;
use crate::http::{Carrier, Failure};

pub(super) async fn bucket(
    aws: &Arc<Aws>,
    address: &Address,
    bucket: &str,
) -> Result<Bucket, StorageError> {
    let variables = aws.variables();
    let region = aws.region().await?.unwrap_or_else(|| "us-east-1".to_owned());
    let given = variables.first(&["S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
    let server = match given {
        Some(given) => given.trim_end_matches('/').to_owned(),
        None => format!("https://s3.{region}.{}", domain(&region)),
    };
    let by_path = variables.is_true("S3_FORCE_PATH_STYLE") || !fits_host(&server, bucket);
    let server = if by_path { server } else { with_bucket(&server, bucket) };
    let identity = aws.identity().await?.cloned();
    let tried = identity.as_ref().map_or("no credentials", |identity| identity.name).to_owned();
    let failure = Failure::default();
    let carrier = Carrier {
        http: Arc::clone(aws.http()),
        way: way(&server),
        tried,
        failure: failure.clone(),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&region)
        .with_endpoint(&server)
        .with_virtual_hosted_style_request(!by_path)
        .with_retry(aws.http().retry())
        .with_http_connector(carrier);
    builder = match &identity {
        Some(identity) => builder.with_credentials(identity.source()),
        // As for a bucket that is open to everybody.
        None => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|error| unaskable(address, &error))?;
    Ok(Bucket { store: Store::S3(store), failure, identity })
}

/// Whether a bucket can be part of a server's name: its name is one label, as certificates have it, and the server
/// has a name.
fn fits_host(server: &str, bucket: &str) -> bool {
    let uri: Option<http::Uri> = server.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !is_address && host != "localhost" && bucket.bytes().all(is_label)
}

fn with_bucket(server: &str, bucket: &str) -> String {
    match server.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{bucket}.{rest}"),
        None => format!("https://{bucket}.{server}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_is_part_of_a_name_where_it_can_be() {
        for (server, bucket, expected) in [
            ("https://s3.eu-west-1.amazonaws.com", "b-1", true),
            ("https://s3.eu-west-1.amazonaws.com", "b.example.com", false),
            ("https://s3.eu-west-1.amazonaws.com", "Old_Bucket", false),
            ("http://minio.example:9000", "b", true),
            ("http://10.0.0.1:9000", "b", false),
            ("http://[::1]:9000", "b", false),
            ("http://localhost:9000", "b", false),
        ] {
            assert_eq!(fits_host(server, bucket), expected, "{server} {bucket}");
        }
        assert_eq!(with_bucket("http://minio.example:9000", "b"), "http://b.minio.example:9000");
    }
}
