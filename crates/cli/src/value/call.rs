//! `--call`: what is told about a Dockerfile instead of building it.

use strata_dockerfile::suggest;

use super::fields::list;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Nothing: build.
    Build,
    /// What is wrong or doubtful.
    Check,
    /// What the target takes.
    Outline,
    /// The stages to choose from.
    Targets,
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// A method and its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) form: Form,
}

const METHODS: [(&str, Method); 5] = [
    ("build", Method::Build),
    ("check", Method::Check),
    ("lint", Method::Check),
    ("outline", Method::Outline),
    ("targets", Method::Targets),
];

/// Reads `METHOD[,format=text|json]`.
pub(crate) fn parse(text: &str) -> Result<Call, String> {
    let mut fields = text.split(',');
    let name = fields.next().unwrap_or_default();
    let Some((_, method)) = METHODS.iter().find(|(known, _)| *known == name) else {
        let names = METHODS.map(|(name, _)| name);
        return Err(match suggest(name, names) {
            Some(meant) => format!("`{name}` is not known: did you mean `{meant}`?"),
            None => format!("`{name}` is not known: it is one of {}", list(&names)),
        });
    };
    let mut form = Form::Text;
    for field in fields {
        form = match field.split_once('=') {
            Some(("format", "text")) => Form::Text,
            Some(("format", "json")) => Form::Json,
            _ => return Err(format!("`{field}` is not `format=text` or `format=json`")),
        };
    }
    Ok(Call { method: *method, form })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_forms() {
        for (text, expected) in [
            ("build", Ok((Method::Build, Form::Text))),
            ("check", Ok((Method::Check, Form::Text))),
            ("lint,format=json", Ok((Method::Check, Form::Json))),
            ("outline,format=text", Ok((Method::Outline, Form::Text))),
            ("targets,format=json", Ok((Method::Targets, Form::Json))),
            ("target", Err("`target` is not known: did you mean `targets`?")),
            ("check,format=xml", Err("`format=xml` is not `format=text` or `format=json`")),
            ("check,json", Err("`json` is not `format=text` or `format=json`")),
        ] {
            let found = parse(text).map(|call| (call.method, call.form));
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }
}
