//! Images from lines of text.

use std::io::Write;

use serde_json::{Value, json};
use sha2::Digest;

mod entry;

use entry::Entry;

/// Is how the blobs of layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// A plain tar stream.
    Tar,
    /// Compressed with gzip.
    Gzip,
}

/// Is an image to be made.
///
/// ```text
/// TestImage::new()
///     .config(json!({"Env": ["A=b"]}))
///     .layer("
///         /bin/       0755 0:0
///         /bin/sh     0755 0:0 file "#!/bin/sh\n"
///         /bin/bash   0777 0:0 symlink "sh"
///     ")
///     .build()
/// ```
#[derive(Debug, Clone)]
pub struct TestImage {
    architecture: String,
    config: Value,
    layers: Vec<Vec<u8>>,
    packing: Packing,
    corrupt: Vec<usize>,
    wrong_diff_ids: Vec<usize>,
}

/// Is an image's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Its media type.
    pub manifest_media_type: &'static str,
    /// The config.
    pub config: Vec<u8>,
    /// The layers, lowest first.
    pub layers: Vec<BuiltLayer>,
}

/// Is a layer's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltLayer {
    /// The digest that the manifest names.
    pub digest: String,
    /// The blob; of another digest if the layer is to be corrupt.
    pub blob: Vec<u8>,
    /// The digest that the config names.
    pub diff_id: String,
}

impl Default for TestImage {
    fn default() -> Self {
        Self::new()
    }
}

impl TestImage {
    /// Begins an image for `linux/amd64` with no layers.
    pub fn new() -> Self {
        Self {
            architecture: "amd64".to_owned(),
            config: json!({}),
            layers: Vec::new(),
            packing: Packing::Gzip,
            corrupt: Vec::new(),
            wrong_diff_ids: Vec::new(),
        }
    }

    /// Is for another processor.
    #[must_use]
    pub fn architecture(self, architecture: &str) -> Self {
        Self { architecture: architecture.to_owned(), ..self }
    }

    /// Sets what a container starts with: the object under `config` in the config file.
    #[must_use]
    pub fn config(self, config: Value) -> Self {
        Self { config, ..self }
    }

    /// Adds a layer of the entries in `text`; see [`layer_tar`].
    #[must_use]
    pub fn layer(self, text: &str) -> Self {
        self.layer_bytes(layer_tar(text))
    }

    /// Adds a layer whose tar stream is given.
    #[must_use]
    pub fn layer_bytes(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(tar);
        self
    }

    /// Packs the layers in another way than gzip.
    #[must_use]
    pub fn packing(self, packing: Packing) -> Self {
        Self { packing, ..self }
    }

    /// Gives the layer added last a blob that is not what its digest says.
    #[must_use]
    pub fn corrupt(mut self) -> Self {
        self.corrupt.push(self.layers.len() - 1);
        self
    }

    /// Gives the layer added last a diff id that is another's.
    #[must_use]
    pub fn wrong_diff_id(mut self) -> Self {
        self.wrong_diff_ids.push(self.layers.len() - 1);
        self
    }

    /// Makes the files.
    pub fn build(&self) -> BuiltImage {
        let layers: Vec<BuiltLayer> =
            self.layers.iter().enumerate().map(|(at, tar)| self.build_layer(at, tar)).collect();
        let history: Vec<Value> = (0..layers.len())
            .map(|at| json!({"created": "1970-01-01T00:00:00Z", "created_by": format!("layer {at}")}))
            .collect();
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": self.architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        let config = config.to_string().into_bytes();
        let layer_type = match self.packing {
            Packing::Tar => "application/vnd.oci.image.layer.v1.tar",
            Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        };
        let rows: Vec<Value> = layers
            .iter()
            .map(|layer| {
                json!({"mediaType": layer_type, "digest": layer.digest, "size": layer.blob.len()})
            })
            .collect();
        let manifest_media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_media_type,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": sha256(&config),
                "size": config.len(),
            },
            "layers": rows,
        });
        BuiltImage {
            manifest: manifest.to_string().into_bytes(),
            manifest_media_type,
            config,
            layers,
        }
    }

    fn build_layer(&self, at: usize, tar: &[u8]) -> BuiltLayer {
        let mut blob = match self.packing {
            Packing::Tar => tar.to_vec(),
            Packing::Gzip => gzip(tar),
        };
        let digest = sha256(&blob);
        if self.corrupt.contains(&at) {
            let middle = blob.len() / 2;
            blob[middle] ^= 1;
        }
        let diff_id =
            if self.wrong_diff_ids.contains(&at) { sha256(b"another layer") } else { sha256(tar) };
        BuiltLayer { digest, blob, diff_id }
    }
}

/// Writes a tar stream of one entry per line: `PATH MODE UID:GID [KIND] [ATTRIBUTE…]`.
///
/// - `PATH` loses its leading slash; with a slash at its end it is a directory. In double quotes it is taken as it
///   is, for names that no good archive has: `"../../etc/passwd"`.
/// - `KIND` is `file "CONTENT"`, `symlink "TARGET"`, `hardlink "PATH"`, `char MAJOR,MINOR`, `block MAJOR,MINOR` or
///   `fifo`; a directory has none. Quoted text knows `\n`, `\t`, `\0`, `\"` and `\\`.
/// - `ATTRIBUTE` is `mtime=SECONDS` or `NAME="VALUE"` for an extended attribute.
///
/// Empty lines, and lines that begin with `#`, are passed over. Names and targets of any length are written, as
/// PAX records where the header has no room.
pub fn layer_tar(text: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let entry = Entry::parse(line).unwrap_or_else(|why| panic!("entry `{line}`: {why}"));
        entry.append(&mut builder);
    }
    builder.into_inner().expect("writing to memory does not fail")
}

/// Is the digest of bytes, as `sha256:<hex>`.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = "sha256:".to_owned();
    for byte in sha2::Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("writing to memory does not fail");
    encoder.finish().expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests;
