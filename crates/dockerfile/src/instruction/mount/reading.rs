//! Fields to a mount, one after the other.

use std::collections::BTreeMap;

use super::{Access, Mount, MountError, MountField, MountKey, MountOwner, Sharing};
use crate::number;
use crate::source::Span;

type Failure = (Span, MountError);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl Kind {
    const NAMES: [(&'static str, Self); 5] = [
        ("bind", Self::Bind),
        ("cache", Self::Cache),
        ("tmpfs", Self::Tmpfs),
        ("secret", Self::Secret),
        ("ssh", Self::Ssh),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("bind", |(name, _)| name)
    }
}

/// The names of the types, for suggestions.
pub(crate) fn type_names() -> impl Iterator<Item = &'static str> {
    Kind::NAMES.iter().map(|(name, _)| *name)
}

/// A value with the place of its field.
struct Given {
    text: String,
    span: Span,
}

/// What the fields so far say.
pub(super) struct Reading {
    kind: Kind,
    access: Option<Access>,
    values: BTreeMap<MountKey, Given>,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self { kind: Kind::Bind, access: None, values: BTreeMap::new() }
    }

    pub(super) fn field(
        &mut self,
        field: &MountField,
        value: Option<String>,
    ) -> Result<(), MountError> {
        let key = field.key;
        let flag = |value: Option<&String>| match value {
            None => Ok(true),
            Some(text) => number::boolean(text).ok_or_else(|| MountError::InvalidValue {
                key: key.name(),
                value: text.clone(),
                expected: "a boolean",
            }),
        };
        let kind = self.kind;
        let only_for = |kinds: &[Kind]| {
            if kinds.contains(&kind) {
                Ok(())
            } else {
                Err(MountError::NotAllowed { key: key.name(), kind: kind.name() })
            }
        };
        match key {
            MountKey::ReadOnly => {
                let on = flag(value.as_ref())?;
                self.access = Some(if on { Access::ReadOnly } else { Access::ReadWrite });
                return Ok(());
            }
            MountKey::ReadWrite => {
                let on = flag(value.as_ref())?;
                self.access = Some(if on { Access::ReadWrite } else { Access::ReadOnly });
                return Ok(());
            }
            MountKey::Required => {
                only_for(&[Kind::Secret, Kind::Ssh])?;
                let text = flag(value.as_ref())?.to_string();
                self.values.insert(key, Given { text, span: field.span });
                return Ok(());
            }
            _ => {}
        }
        let Some(text) = value else {
            return Err(MountError::MissingValue { key: key.name() });
        };
        match key {
            MountKey::Type => {
                self.kind = Kind::NAMES
                    .into_iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(&text))
                    .ok_or(MountError::UnknownType { value: text })?
                    .1;
                return Ok(());
            }
            MountKey::Size => only_for(&[Kind::Tmpfs])?,
            _ => {}
        }
        self.values.insert(key, Given { text, span: field.span });
        Ok(())
    }

    pub(super) fn finish(mut self, whole: Span) -> Result<Mount, Failure> {
        let access = self.access;
        let read_only = access.unwrap_or(Access::ReadOnly);
        let writable = access.unwrap_or(Access::ReadWrite);
        match self.kind {
            Kind::Bind => {
                self.refuse(&[MountKey::Mode, MountKey::Uid, MountKey::Gid, MountKey::Sharing])?;
                Ok(Mount::Bind {
                    from: self.nonempty(MountKey::From),
                    source: self.text(MountKey::Source),
                    target: self.text(MountKey::Target),
                    access: read_only,
                })
            }
            Kind::Cache => Ok(Mount::Cache {
                id: self.nonempty(MountKey::Id),
                from: self.nonempty(MountKey::From),
                source: self.text(MountKey::Source),
                target: self.text(MountKey::Target),
                sharing: self.sharing()?,
                access: writable,
                owner: self.owner()?,
            }),
            Kind::Tmpfs => {
                self.refuse(&[MountKey::Mode, MountKey::Uid, MountKey::Gid, MountKey::Sharing])?;
                Ok(Mount::Tmpfs {
                    target: self.text(MountKey::Target),
                    size: self.read(MountKey::Size, "a size", number::bytes)?.unwrap_or(0),
                    access: writable,
                })
            }
            Kind::Secret => self.secret(whole),
            Kind::Ssh => {
                self.refuse(&[MountKey::Sharing, MountKey::Source])?;
                Ok(Mount::Ssh {
                    id: self.nonempty(MountKey::Id),
                    target: self.nonempty(MountKey::Target),
                    required: self.required(),
                    owner: self.owner()?,
                })
            }
        }
    }

    fn secret(mut self, whole: Span) -> Result<Mount, Failure> {
        self.refuse(&[MountKey::From, MountKey::Sharing])?;
        let id = self.nonempty(MountKey::Id);
        let source = self.nonempty(MountKey::Source);
        let target = self.nonempty(MountKey::Target);
        if id.is_some() && source.is_some() {
            return Err((whole, MountError::SecretNamedTwice));
        }
        let Some(id) = source.or(id).or_else(|| target.as_deref().map(base)) else {
            return Err((whole, MountError::UnnamedSecret));
        };
        // BuildKit takes an empty name, and then sets nothing.
        let env = self.read(MountKey::Env, "the name of a variable", |name| {
            (!name.is_empty()).then(|| name.to_owned())
        })?;
        let target = match (target, &env) {
            (None, None) => Some(format!("/run/secrets/{}", base(&id))),
            (target, _) => target,
        };
        Ok(Mount::Secret { id, target, env, required: self.required(), owner: self.owner()? })
    }

    fn refuse(&self, keys: &[MountKey]) -> Result<(), Failure> {
        for key in keys {
            if let Some(given) = self.values.get(key).filter(|given| !given.text.is_empty()) {
                let kind = self.kind.name();
                return Err((given.span, MountError::NotAllowed { key: key.name(), kind }));
            }
        }
        Ok(())
    }

    fn nonempty(&mut self, key: MountKey) -> Option<String> {
        self.values.remove(&key).map(|given| given.text).filter(|text| !text.is_empty())
    }

    fn text(&mut self, key: MountKey) -> String {
        self.nonempty(key).unwrap_or_default()
    }

    fn required(&self) -> bool {
        self.values.get(&MountKey::Required).is_some_and(|given| given.text == "true")
    }

    fn sharing(&mut self) -> Result<Sharing, Failure> {
        let Some(given) = self.values.remove(&MountKey::Sharing) else {
            return Ok(Sharing::Shared);
        };
        match given.text.to_ascii_lowercase().as_str() {
            "shared" => Ok(Sharing::Shared),
            "private" => Ok(Sharing::Private),
            "locked" => Ok(Sharing::Locked),
            _ => Err((
                given.span,
                MountError::InvalidValue {
                    key: MountKey::Sharing.name(),
                    value: given.text,
                    expected: "`shared`, `private` or `locked`",
                },
            )),
        }
    }

    fn owner(&mut self) -> Result<MountOwner, Failure> {
        let decimal = |text: &str| number::unsigned(text, 10);
        Ok(MountOwner {
            uid: self.read(MountKey::Uid, "a number", decimal)?,
            gid: self.read(MountKey::Gid, "a number", decimal)?,
            mode: self.read(MountKey::Mode, "an octal number", |text| number::unsigned(text, 8))?,
        })
    }

    fn read<T>(
        &mut self,
        key: MountKey,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(given) = self.values.remove(&key) else {
            return Ok(None);
        };
        if let Some(value) = read(&given.text) {
            return Ok(Some(value));
        }
        let error = MountError::InvalidValue { key: key.name(), value: given.text, expected };
        Err((given.span, error))
    }
}

/// The last component of a path, as Go's `path.Base`.
fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let trimmed = path.trim_end_matches('/');
    let last = trimmed.rsplit('/').next().unwrap_or("");
    if last.is_empty() { "/".into() } else { last.into() }
}
