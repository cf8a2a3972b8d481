//! SQL cut into words, as far as a single SELECT of constants needs it.

/// A word of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name or a keyword, in lower case unless it was quoted.
    Name(String),
    /// What a string literal says.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// `(`, `::`, `=>` and the like.
    Sign(&'static str),
}

/// The longer ones first, so that `:=` is not read as two.
const SIGNS: [&str; 12] = [":=", "=>", "::", "||", "(", ")", ",", ";", ".", "*", "-", "+"];

/// All words of a text; `None` where something stands in it that no such SELECT needs.
pub fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = skip_space(text)?;
    while !rest.is_empty() {
        let (token, after) = next(rest)?;
        tokens.push(token);
        rest = skip_space(after)?;
    }
    Some(tokens)
}

fn next(text: &str) -> Option<(Token, &str)> {
    let first = text.chars().next()?;
    if let Some(rest) = text.strip_prefix(['e', 'E']).filter(|rest| rest.starts_with('\'')) {
        return escaped(rest);
    }
    match first {
        '\'' => doubled(&text[1..], '\'').map(|(said, rest)| (Token::Text(said), rest)),
        '"' => doubled(&text[1..], '"').map(|(name, rest)| (Token::Name(name), rest)),
        '$' => dollars(text),
        '0'..='9' => {
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
            Some((Token::Number(text[..end].to_owned()), &text[end..]))
        }
        _ if first.is_alphabetic() || first == '_' => {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(text.len());
            Some((Token::Name(text[..end].to_lowercase()), &text[end..]))
        }
        _ => {
            let sign = SIGNS.into_iter().find(|sign| text.starts_with(sign))?;
            Some((Token::Sign(sign), &text[sign.len()..]))
        }
    }
}

/// What stands up to the closing quote, in which a doubled one stands for itself.
fn doubled(text: &str, quote: char) -> Option<(String, &str)> {
    let mut said = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(quote)?;
        said.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => {
                said.push(quote);
                rest = after;
            }
            None => return Some((said, rest)),
        }
    }
}

/// `E'…'`, with the escapes that people use; one with others is left to Postgres.
fn escaped(text: &str) -> Option<(Token, &str)> {
    let mut said = String::new();
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\'' if letters.peek().is_some_and(|(_, next)| *next == '\'') => {
                letters.next();
                said.push('\'');
            }
            '\'' => return Some((Token::Text(said), &text[at + 1..])),
            '\\' => said.push(match letters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                same @ ('\\' | '\'' | '"' | '/') => same,
                _ => return None,
            }),
            other => said.push(other),
        }
    }
    None
}

/// `$tag$…$tag$`.
fn dollars(text: &str) -> Option<(Token, &str)> {
    let end = text[1..].find('$')? + 2;
    let quote = &text[..end];
    let is_tag = quote[1..end - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
    let (said, rest) = text[end..].split_once(quote).filter(|_| is_tag)?;
    Some((Token::Text(said.to_owned()), rest))
}

/// Past space and comments.
fn skip_space(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after).trim_start()
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/")?.1.trim_start()
        } else {
            return Some(rest);
        };
    }
}
