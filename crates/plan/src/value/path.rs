//! Paths as text, as Go's `path` package treats them.

/// Makes a path absolute and lexically clean: no empty components, no `.`, no `..`.
pub(crate) fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// A path as seen from a directory: absolute and clean.
pub(crate) fn resolve(directory: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{directory}/{path}")) }
}

/// The new working directory: a relative one is joined and cleaned, an absolute one stays as it is written.
pub(crate) fn working_directory(current: &str, path: &str) -> String {
    let path = if path.is_empty() { current } else { path };
    if path.starts_with('/') { path.to_owned() } else { resolve(current, path) }
}

/// The destination of a COPY. A trailing `/` or `/.` means a directory and stays.
pub(crate) fn destination(directory: &str, path: &str) -> String {
    let path = if path.is_empty() || path == "." { "./" } else { path };
    let mut clean = resolve(directory, path);
    if path.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    } else if path.ends_with("/.") {
        if clean != "/" {
            clean.push('/');
        }
        clean.push('.');
    }
    clean
}

/// Whether a path has a wildcard that is not escaped.
pub(crate) fn has_wildcard(path: &str) -> bool {
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return true,
            '\\' => {
                characters.next();
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_keep_what_says_directory() {
        for (directory, path, expected) in [
            ("/", "/x", "/x"),
            ("/", "x", "/x"),
            ("/w", "x", "/w/x"),
            ("/w", "x/", "/w/x/"),
            ("/w", ".", "/w/"),
            ("/w", "", "/w/"),
            ("/w", "./", "/w/"),
            ("/w", "..", "/"),
            ("/w", "x/.", "/w/x/."),
            ("/", "/", "/"),
            ("/", "/.", "/."),
            ("/w", "/a/../b//c/", "/b/c/"),
        ] {
            assert_eq!(destination(directory, path), expected, "{directory} {path}");
        }
    }

    #[test]
    fn working_directories_follow_each_other() {
        for (current, path, expected) in [
            ("/", "/a", "/a"),
            ("/a", "b", "/a/b"),
            ("/a/b", "./c/", "/a/b/c"),
            ("/a/b", "..", "/a"),
            ("", "foo", "/foo"),
            ("/a", "/x/../y/", "/x/../y/"),
        ] {
            assert_eq!(working_directory(current, path), expected, "{current} {path}");
        }
    }

    #[test]
    fn wildcards_can_be_escaped() {
        for (path, expected) in
            [("a", false), ("a*", true), ("a\\*", false), ("[a", true), ("\\\\?", true)]
        {
            assert_eq!(has_wildcard(path), expected, "{path}");
        }
    }
}
