//! Placeholders for secrets in a text: `${secret:NAME}`, `${file:NAME}`, `${vault:NAME}`.
//!
//! What is stored and shown is the text with its placeholders; values are put in their place when a request is built.
//! Only these three kinds mean anything: `${other}` and a lone `$` stay as they are, `${Secret:NAME}` is taken for a slip
//! and refused, and a dollar sign before a placeholder (`$${secret:NAME}`) keeps it from being one.

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A secret of `edge.set_secret`.
    Secret,
    /// A file in `pg_edge.secrets_directory`.
    File,
    /// A secret of Supabase Vault.
    Vault,
}

/// One placeholder. Its name is known to be one that its kind can have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Placeholder {
    /// Where its value comes from.
    pub kind: Kind,
    /// What it is called there.
    pub name: String,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// To be taken as it is.
    Text(String),
    /// To be replaced by its value.
    Placeholder(Placeholder),
}

/// Why a text or a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// Looks like one, and means nothing.
    #[error(
        "\"${{{0}:\" is no placeholder; there are ${{secret:NAME}}, ${{file:NAME}} and ${{vault:NAME}}, and $${{{0}: stands for itself"
    )]
    Kind(String),
    /// No closing brace.
    #[error("a placeholder ${{{0}:…}} is not closed by a brace")]
    Open(&'static str),
    /// Not what a secret can be called.
    #[error(
        "\"{}\" is not the name of a secret: it has 1 to 63 characters, begins with a letter or an underscore, and goes \
         on with letters, digits, \"_\", \".\" and \"-\"",
        .0.escape_debug()
    )]
    SecretName(String),
    /// Would lead out of the directory, or nowhere.
    #[error("\"{}\" is not the name of a file in pg_edge.secrets_directory: it has 1 to 255 bytes and no slash", .0.escape_debug())]
    FileName(String),
    /// Empty, too long, or with control characters.
    #[error("\"{}\" is not the name of a Vault secret: it has 1 to 255 bytes and no control characters", .0.escape_debug())]
    VaultName(String),
}

/// The longest value that a placeholder stands for, in bytes.
pub const LONGEST_VALUE: usize = 64 * 1024;

/// The longest name of a secret, that of any other name in Postgres.
const LONGEST_SECRET: usize = 63;

/// The longest name of a file on every usual file system; Vault sets no limit.
const LONGEST_OTHER: usize = 255;

/// Whether a text may hold a placeholder: what tells at the cost of a search that it holds none.
pub fn may_be_in(text: &str) -> bool {
    text.contains("${")
}

/// Cuts a text into what stays and what is to be replaced.
pub fn parse(text: &str) -> Result<Vec<Segment>, PlaceholderError> {
    let mut segments = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from_here) = rest.split_at(at);
        let Some((kind, after)) = opening(from_here) else {
            if let Some(word) = unknown_kind(from_here) {
                let Some(before) = before.strip_suffix('$') else {
                    return Err(PlaceholderError::Kind(word.to_owned()));
                };
                literal.push_str(before);
                literal.push_str("${");
                rest = &from_here[2..];
                continue;
            }
            // The brace may open nothing, but what follows it may.
            let (kept, left) = rest.split_at(at + 2);
            literal.push_str(kept);
            rest = left;
            continue;
        };
        if let Some(before) = before.strip_suffix('$') {
            literal.push_str(before);
            let opening = from_here.len() - after.len();
            literal.push_str(&from_here[..opening]);
            rest = after;
            continue;
        }
        literal.push_str(before);
        let (name, left) = after.split_once('}').ok_or(PlaceholderError::Open(kind.name()))?;
        kind.check(name)?;
        if !literal.is_empty() {
            segments.push(Segment::Text(std::mem::take(&mut literal)));
        }
        segments.push(Segment::Placeholder(Placeholder { kind, name: name.to_owned() }));
        rest = left;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        segments.push(Segment::Text(literal));
    }
    Ok(segments)
}

/// Whether a text that parses holds a placeholder.
pub fn is_in(text: &str) -> Result<bool, PlaceholderError> {
    if !may_be_in(text) {
        return Ok(false);
    }
    Ok(parse(text)?.iter().any(|segment| matches!(segment, Segment::Placeholder(_))))
}

/// Checks what a secret is to be called.
pub fn check_secret_name(name: &str) -> Result<(), PlaceholderError> {
    Kind::Secret.check(name)
}

/// The kind that a text opens with, and what comes after the colon.
fn opening(text: &str) -> Option<(Kind, &str)> {
    let inside = text.strip_prefix("${")?;
    Kind::ALL.into_iter().find_map(|kind| Some((kind, inside.strip_prefix(kind.name())?.strip_prefix(':')?)))
}

/// The word before the colon where a text opens with one that is no kind: a slip of the pen more likely than a text.
fn unknown_kind(text: &str) -> Option<&str> {
    let (word, _) = text.strip_prefix("${")?.split_once(':')?;
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic())).then_some(word)
}

impl Kind {
    const ALL: [Self; 3] = [Self::Secret, Self::File, Self::Vault];

    /// The word in the placeholder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::File => "file",
            Self::Vault => "vault",
        }
    }

    fn check(self, name: &str) -> Result<(), PlaceholderError> {
        let is_short = (1..=LONGEST_OTHER).contains(&name.len());
        match self {
            Self::Secret if !is_secret_name(name) => Err(PlaceholderError::SecretName(name.to_owned())),
            Self::File if !is_short || name.contains(['/', '\0']) || matches!(name, "." | "..") => {
                Err(PlaceholderError::FileName(name.to_owned()))
            }
            Self::Vault if !is_short || name.chars().any(char::is_control) => {
                Err(PlaceholderError::VaultName(name.to_owned()))
            }
            Self::Secret | Self::File | Self::Vault => Ok(()),
        }
    }
}

fn is_secret_name(name: &str) -> bool {
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    begins_well && goes_on_well && name.len() <= LONGEST_SECRET
}

impl std::fmt::Display for Placeholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${{{}:{}}}", self.kind.name(), self.name)
    }
}
