//! Addresses of things that ADD downloads: which are files, which are git repositories.
//!
//! ```text
//! https://host/path/file.tgz                     a file
//! https://host/path/repository.git#branch:dir    a repository: only with `.git`
//! git://host/path  ssh://host/path               a repository
//! user@host:path                                 a repository
//! github.com/owner/name                          a local path: cannot be told from one
//! ```

use crate::op::GitSource;

/// What a source of ADD is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A path in the context.
    Local,
    /// A file to download.
    Http {
        /// What it is called: the last component of the path.
        name: String,
    },
    /// A repository.
    Git(GitAddress),
}

/// A repository as an address says it; flags may say more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GitAddress {
    pub(crate) remote: String,
    pub(crate) reference: Option<String>,
    pub(crate) directory: Option<String>,
    pub(crate) checksum: Option<String>,
    pub(crate) keep_git_dir: Option<bool>,
    pub(crate) submodules: Option<bool>,
}

struct Parts<'a> {
    remote: &'a str,
    path: &'a str,
    query: &'a str,
    fragment: &'a str,
}

/// Says what a source is, or why its address is wrong.
pub(crate) fn parse(text: &str) -> Result<Address, String> {
    if text.starts_with("./") || text.starts_with("../") {
        return Ok(Address::Local);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return match scp_like(text) {
            Some(parts) => git(&parts).map(Address::Git),
            None => Ok(Address::Local),
        };
    };
    let parts = split(text, rest);
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if is_repository(parts.path) => git(&parts).map(Address::Git),
        // Only these two spellings are downloads; `HTTP://…` is a strange path.
        _ if matches!(scheme, "http" | "https") => {
            Ok(Address::Http { name: file_name(parts.path) })
        }
        "git" | "ssh" => git(&parts).map(Address::Git),
        _ => Ok(Address::Local),
    }
}

/// Of what HTTP serves only paths with this suffix are repositories, in exactly this spelling.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "the spelling is exact")]
fn is_repository(path: &str) -> bool {
    path.ends_with(".git")
}

fn split<'a>(whole: &'a str, rest: &'a str) -> Parts<'a> {
    let (before, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (before, query) = before.split_once('?').unwrap_or((before, ""));
    let path = before.find('/').map_or("", |slash| &before[slash..]);
    let cut = whole.find(['#', '?']).unwrap_or(whole.len());
    Parts { remote: &whole[..cut], path, query, fragment }
}

/// `user@host:path`.
fn scp_like(text: &str) -> Option<Parts<'_>> {
    let (user, rest) = text.split_once('@')?;
    let (host, _) = rest.split_once(':')?;
    let word = |text: &str, extra: &[char]| {
        let fits = |c: char| c.is_ascii_alphanumeric() || extra.contains(&c);
        !text.is_empty() && text.chars().all(fits)
    };
    (word(user, &['-', '_']) && word(host, &['-', '.'])).then(|| split(text, rest))
}

fn git(parts: &Parts<'_>) -> Result<GitAddress, String> {
    let mut address = GitAddress { remote: parts.remote.to_owned(), ..GitAddress::default() };
    let (reference, directory) = parts.fragment.split_once(':').unwrap_or((parts.fragment, ""));
    set(&mut address.reference, "ref", decode(reference)?)?;
    set(&mut address.directory, "subdir", super::path::clean(&decode(directory)?)[1..].to_owned())?;
    let mut seen = Vec::new();
    let (mut tag, mut branch) = (None, None);
    for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decode(key)?, decode(value)?);
        if seen.contains(&key) {
            return Err(format!("`{key}` is given twice"));
        }
        let flag = |value: &str| match value {
            "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
            _ => Err(format!("`{key}` must be true or false")),
        };
        match key.as_str() {
            "keep-git-dir" => address.keep_git_dir = flag(&value)?,
            "submodules" => address.submodules = flag(&value)?,
            _ if value.is_empty() => return Err(format!("`{key}` has no value")),
            "ref" => set(&mut address.reference, "ref", value)?,
            "subdir" => set(&mut address.directory, "subdir", value)?,
            "checksum" | "commit" => set(&mut address.checksum, "checksum", value)?,
            "tag" => tag = Some(qualified("refs/tags/", &value)),
            "branch" => branch = Some(qualified("refs/heads/", &value)),
            _ => return Err(format!("`{key}` is not known")),
        }
        seen.push(key);
    }
    if tag.is_some() && branch.is_some() {
        return Err("`tag` and `branch` contradict each other".to_owned());
    }
    set(&mut address.reference, "ref", tag.or(branch).unwrap_or_default())?;
    Ok(address)
}

fn qualified(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

/// Sets what is said twice only if both say the same.
fn set(place: &mut Option<String>, name: &str, value: String) -> Result<(), String> {
    match place {
        _ if value.is_empty() => Ok(()),
        Some(old) if *old != value => Err(format!("`{name}` is both `{old}` and `{value}`")),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}

fn file_name(path: &str) -> String {
    let decoded = decode(path).unwrap_or_default();
    match decoded.trim_end_matches('/').rsplit('/').next() {
        Some("" | ".") | None => "__unnamed__".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let byte = after.get(..2).and_then(|two| {
            let digits = std::str::from_utf8(two).ok().filter(|two| !two.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(byte.ok_or_else(|| format!("`{text}` has an invalid `%`"))?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| format!("`{text}` is not UTF-8"))
}

impl GitSource {
    /// Reads the address of a repository as a build context has it; nothing if it is none. Other than in ADD,
    /// `github.com/owner/name` is one too.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let address = if text.starts_with("github.com/") {
            let whole = format!("https://{text}");
            Address::Git(git(&split(&whole, text))?)
        } else {
            parse(text)?
        };
        match address {
            Address::Git(git) => match git.into_source(None, None) {
                Ok(source) => Ok(Some(source)),
                Err(flag) => Err(format!("`{flag}` is given twice")),
            },
            Address::Local | Address::Http { .. } => Ok(None),
        }
    }
}

impl GitAddress {
    /// The source, with what flags say put in; gives back the flag that says something else.
    pub(crate) fn into_source(
        self,
        keep_git_dir: Option<bool>,
        checksum: Option<String>,
    ) -> Result<GitSource, &'static str> {
        let contradicts = |one: Option<bool>, two: Option<bool>| {
            one.zip(two).is_some_and(|(one, two)| one != two)
        };
        if contradicts(self.keep_git_dir, keep_git_dir) {
            return Err("keep-git-dir");
        }
        if self.checksum.as_ref().zip(checksum.as_ref()).is_some_and(|(one, two)| one != two) {
            return Err("checksum");
        }
        Ok(GitSource {
            remote: self.remote,
            reference: self.reference,
            directory: self.directory,
            checksum: self.checksum.or(checksum),
            keep_git_dir: self.keep_git_dir.or(keep_git_dir).unwrap_or(false),
            submodules: self.submodules.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(Address::Local) => "local".to_owned(),
            Ok(Address::Http { name }) => format!("http {name}"),
            Ok(Address::Git(git)) => {
                let part = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
                let flags = [git.keep_git_dir, git.submodules].map(|flag| match flag {
                    Some(true) => "+",
                    Some(false) => "-",
                    None => "?",
                });
                let (reference, directory) = (part(git.reference), part(git.directory));
                let checksum = part(git.checksum);
                format!("git {} {reference} {directory} {checksum} {}", git.remote, flags.concat())
            }
            Err(problem) => problem,
        }
    }

    #[test]
    fn addresses_are_told_apart() {
        for (text, expected) in [
            ("a/b", "local"),
            ("./x@y:z", "local"),
            ("github.com/o/n", "local"),
            ("s3://bucket/x", "local"),
            ("https://h/a/b.tgz?x=1#y", "http b.tgz"),
            ("https://h/a%20b/", "http a b"),
            ("https://h", "http __unnamed__"),
            ("https://h/", "http __unnamed__"),
            ("https://h/%zz", "http __unnamed__"),
            ("https://h/r.git", "git https://h/r.git - - - ??"),
            ("https://h/r.git#v1:sub/dir", "git https://h/r.git v1 sub/dir - ??"),
            ("https://h/r.git#:sub", "git https://h/r.git - sub - ??"),
            ("https://h/r.git?tag=v1&keep-git-dir", "git https://h/r.git refs/tags/v1 - - +?"),
            ("https://h/r.git?branch=b&submodules=0", "git https://h/r.git refs/heads/b - - ?-"),
            ("https://h/r.git?commit=abc", "git https://h/r.git - - abc ??"),
            ("https://h/r.git?ref=a#b", "`ref` is both `b` and `a`"),
            ("https://h/r.git?x=1", "`x` is not known"),
            ("https://h/r.git?ref=a&ref=a", "`ref` is given twice"),
            ("git@h:o/r.git#v1", "git git@h:o/r.git v1 - - ??"),
            ("git://h/r", "git git://h/r - - - ??"),
            ("ssh://git@h/r", "git ssh://git@h/r - - - ??"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
