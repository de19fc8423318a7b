// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A bucket behind an S3 API: Amazon's own, or one that speaks like it.
//!
//! It takes nothing but single writes, ranged reads, listings and deletions: a part is one object under a name of its own, so
//! neither multipart uploads nor conditional writes are asked for, which providers do differently.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};

use super::BlobsError;

/// How long a request to the bucket is tried again before whoever waits is told.
const TRIED_FOR: Duration = Duration::from_secs(20);
const TRIES: usize = 5;

/// Where a bucket is, and who one is there. What is left empty comes from where Amazon's own tools look: `AWS_…`
/// variables, a web identity, the role of a container or a machine.
#[derive(Clone, Copy, Default)]
pub struct Bucket<'a> {
    /// `s3://bucket`, or `s3://bucket/prefix`.
    pub url: &'a str,
    /// The URL of the API.
    pub endpoint: &'a str,
    /// The region.
    pub region: &'a str,
    /// The id of the access key,
    pub access_key_id: &'a str,
    /// and the key itself.
    pub secret_access_key: &'a str,
}

impl Bucket<'_> {
    /// Whether a setting names a bucket.
    pub fn is_named_by(setting: &str) -> bool {
        setting.starts_with(SCHEME)
    }

    pub(super) fn open(self) -> Result<Arc<dyn ObjectStore>, BlobsError> {
        let unusable = || BlobsError::Setting(self.url.to_owned());
        let place = self.url.strip_prefix(SCHEME).ok_or_else(unusable)?;
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        if name.is_empty() {
            return Err(unusable());
        }
        // The program has one provider of TLS; it fails when that is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig { max_retries: TRIES, retry_timeout: TRIED_FOR, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(name).with_retry(retry);
        if !self.endpoint.is_empty() {
            let plain = self.endpoint.starts_with("http://");
            builder = builder.with_endpoint(self.endpoint).with_allow_http(plain);
        }
        if !self.region.is_empty() {
            builder = builder.with_region(self.region);
        }
        if !self.access_key_id.is_empty() {
            builder =
                builder.with_access_key_id(self.access_key_id).with_secret_access_key(self.secret_access_key);
        }
        Ok(Arc::new(PrefixStore::new(builder.build()?, prefix)))
    }
}

const SCHEME: &str = "s3://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_with_or_without_a_prefix() {
        let open = |url| Bucket { url, region: "eu-west-1", ..Bucket::default() }.open();
        assert!(open("s3://bucket").is_ok());
        assert!(open("s3://bucket/").is_ok());
        assert!(open("s3://bucket/a/prefix").is_ok());
        for wrong in ["", "s3://", "s3:///prefix", "gs://bucket", "/folder"] {
            assert!(matches!(open(wrong), Err(BlobsError::Setting(_))), "{wrong}");
        }
    }
}
