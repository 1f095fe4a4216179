//! One line of a textual layer.

use tar::{EntryType, Header};

/// Is a line, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    name: Vec<u8>,
    mode: u32,
    user: u64,
    group: u64,
    mtime: u64,
    kind: Kind,
    attributes: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
    Device(EntryType, u32, u32),
    Fifo,
}

impl Entry {
    pub(super) fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = Words { rest: line };
        let (path, quoted) = words.path().ok_or("it has no path")?;
        let mode = words.next().and_then(|word| u32::from_str_radix(&word, 8).ok());
        let owner = words.next().ok_or("it has no owner")?;
        let (user, group) = owner.split_once(':').ok_or("its owner is not UID:GID")?;
        let name = if quoted { path } else { path.strip_prefix(b"/").unwrap_or(&path).to_vec() };
        let is_directory = name.ends_with(b"/");
        let mut rest: Vec<String> = Vec::new();
        while let Some(word) = words.next() {
            rest.push(word);
        }
        let mut rest = rest.into_iter();
        let kind = if is_directory {
            Kind::Directory
        } else {
            let kind = rest.next().ok_or("it has no kind")?;
            let mut text = || rest.next().ok_or("its kind has no text").and_then(|t| unquote(&t));
            match kind.as_str() {
                "file" => Kind::File(text()?),
                "symlink" => Kind::Symlink(text()?),
                "hardlink" => {
                    let target = text()?;
                    Kind::Hardlink(target.strip_prefix(b"/").unwrap_or(&target).to_vec())
                }
                "char" => device(EntryType::Char, rest.next())?,
                "block" => device(EntryType::Block, rest.next())?,
                "fifo" => Kind::Fifo,
                _ => return Err("its kind is unknown"),
            }
        };
        let mut entry = Self {
            name,
            mode: mode.ok_or("its mode is not octal")?,
            user: user.parse().map_err(|_| "its user is not a number")?,
            group: group.parse().map_err(|_| "its group is not a number")?,
            mtime: 0,
            kind,
            attributes: Vec::new(),
        };
        for word in rest {
            let (name, value) = word.split_once('=').ok_or("an attribute has no value")?;
            if name == "mtime" {
                entry.mtime = value.parse().map_err(|_| "its mtime is not a number")?;
            } else {
                entry.attributes.push((name.to_owned(), unquote(value)?));
            }
        }
        Ok(entry)
    }

    pub(super) fn append(&self, builder: &mut tar::Builder<Vec<u8>>) {
        let mut header = Header::new_ustar();
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        header.set_mode(self.mode);
        header.set_uid(self.user);
        header.set_gid(self.group);
        header.set_mtime(self.mtime);
        header.set_size(0);
        // The header's own setters refuse the very names that hostile archives have.
        place(&mut header.as_old_mut().name, &self.name, "path", &mut records);
        let mut content: &[u8] = &[];
        match &self.kind {
            Kind::Directory => header.set_entry_type(EntryType::Directory),
            Kind::File(bytes) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(bytes.len() as u64);
                content = bytes;
            }
            Kind::Symlink(target) => {
                header.set_entry_type(EntryType::Symlink);
                place(&mut header.as_old_mut().linkname, target, "linkpath", &mut records);
            }
            Kind::Hardlink(target) => {
                header.set_entry_type(EntryType::Link);
                place(&mut header.as_old_mut().linkname, target, "linkpath", &mut records);
            }
            Kind::Device(kind, major, minor) => {
                header.set_entry_type(*kind);
                header.set_device_major(*major).expect("a ustar header has device numbers");
                header.set_device_minor(*minor).expect("a ustar header has device numbers");
            }
            Kind::Fifo => header.set_entry_type(EntryType::Fifo),
        }
        for (name, value) in &self.attributes {
            records.push((format!("SCHILY.xattr.{name}"), value.clone()));
        }
        if !records.is_empty() {
            let records = records.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            builder.append_pax_extensions(records).expect("writing to memory does not fail");
        }
        header.set_cksum();
        builder.append(&header, content).expect("writing to memory does not fail");
    }
}

/// Puts text into a field of the header, and into a PAX record if it is too long.
fn place(field: &mut [u8], text: &[u8], record: &str, records: &mut Vec<(String, Vec<u8>)>) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    if text.len() > field.len() {
        records.push((record.to_owned(), text.to_vec()));
    }
}

fn device(kind: EntryType, numbers: Option<String>) -> Result<Kind, &'static str> {
    let numbers = numbers.ok_or("its device has no numbers")?;
    let (major, minor) = numbers.split_once(',').ok_or("its device is not MAJOR,MINOR")?;
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => Ok(Kind::Device(kind, major, minor)),
        _ => Err("its device numbers are not numbers"),
    }
}

/// Splits at spaces outside quotes.
struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        let text = self.rest.trim_start();
        let mut inside = false;
        let mut escaped = false;
        let end = text.find(|c: char| {
            match c {
                _ if escaped => escaped = false,
                '\\' if inside => escaped = true,
                '"' => inside = !inside,
                _ => {}
            }
            c == ' ' && !inside
        });
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// Gives the first word, and whether it was quoted.
    fn path(&mut self) -> Option<(Vec<u8>, bool)> {
        let word = self.next()?;
        match unquote(&word) {
            Ok(name) => Some((name, true)),
            Err(_) => Some((word.into_bytes(), false)),
        }
    }
}

fn unquote(text: &str) -> Result<Vec<u8>, &'static str> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut characters = inner.ok_or("its text is not quoted")?.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(other @ ('"' | '\\')) => other,
                _ => return Err("its text has an unknown escape"),
            },
            other => other,
        });
    }
    Ok(plain.into_bytes())
}
