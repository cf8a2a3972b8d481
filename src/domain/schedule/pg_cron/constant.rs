//! Expressions of SQL whose value does not depend on anything.

use serde_json::value::RawValue;

use super::token::Token;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    Null,
    Text(String),
    /// JSON as text, with every digit kept.
    Json(String),
}

/// The words of a command, read from the left.
pub struct Words<'a> {
    rest: &'a [Token],
}

impl<'a> Words<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        Self { rest: tokens }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Passes over a sign, if it comes next.
    pub fn sign(&mut self, sign: &str) -> Option<()> {
        let [Token::Sign(found), rest @ ..] = self.rest else { return None };
        (*found == sign).then(|| self.rest = rest)
    }

    /// Takes a name, if one comes next.
    pub fn name(&mut self) -> Option<&'a str> {
        let [Token::Name(name), rest @ ..] = self.rest else { return None };
        self.rest = rest;
        Some(name)
    }

    /// Passes over a name, if it comes next.
    pub fn keyword(&mut self, keyword: &str) -> Option<()> {
        let mut ahead = Self { rest: self.rest };
        (ahead.name()? == keyword).then(|| self.rest = ahead.rest)
    }

    /// The name of an argument, if one comes next.
    pub fn argument_name(&mut self) -> Option<&'a str> {
        let mut ahead = Self { rest: self.rest };
        let name = ahead.name()?;
        ahead.sign(":=").or_else(|| ahead.sign("=>"))?;
        self.rest = ahead.rest;
        Some(name)
    }

    /// The value of an expression; `None` if it is not constant, or not known to be.
    pub fn constant(&mut self) -> Option<Constant> {
        let mut value = self.operand()?;
        while self.sign("||").is_some() {
            let (Constant::Text(mut left), Constant::Text(right)) = (value, self.operand()?) else { return None };
            left.push_str(&right);
            value = Constant::Text(left);
        }
        Some(value)
    }

    fn operand(&mut self) -> Option<Constant> {
        let mut value = self.plain()?;
        while self.sign("::").is_some() {
            value = cast(value, self.name()?)?;
        }
        Some(value)
    }

    fn plain(&mut self) -> Option<Constant> {
        if self.sign("(").is_some() {
            let value = self.constant()?;
            return self.sign(")").map(|()| value);
        }
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        match first {
            Token::Text(text) => Some(Constant::Text(text.clone())),
            Token::Number(number) => json(number).map(Constant::Json),
            Token::Name(name) => self.named(name),
            Token::Sign(_) => None,
        }
    }

    /// A keyword, `jsonb '…'`, or a function that makes constants of constants.
    fn named(&mut self, name: &str) -> Option<Constant> {
        match name {
            "null" => return Some(Constant::Null),
            "true" => return Some(Constant::Json("true".to_owned())),
            "false" => return Some(Constant::Json("false".to_owned())),
            _ => {}
        }
        if let [Token::Text(text), rest @ ..] = self.rest {
            self.rest = rest;
            return cast(Constant::Text(text.clone()), name);
        }
        self.sign("(")?;
        match name {
            "jsonb_build_object" | "json_build_object" => object(self.list()?),
            "concat" => self.list()?.into_iter().map(text).collect::<Option<String>>().map(Constant::Text),
            "cast" => {
                let value = self.constant()?;
                self.keyword("as")?;
                let value = cast(value, self.name()?)?;
                self.sign(")").map(|()| value)
            }
            _ => None,
        }
    }

    /// Constants up to the closing parenthesis.
    fn list(&mut self) -> Option<Vec<Constant>> {
        let mut values = Vec::new();
        if self.sign(")").is_some() {
            return Some(values);
        }
        loop {
            values.push(self.constant()?);
            if self.sign(")").is_some() {
                return Some(values);
            }
            self.sign(",")?;
        }
    }
}

impl Constant {
    /// As JSON, where an argument is one.
    pub fn into_json(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Json(text) => Some(text),
            Self::Text(text) => json(&text),
        }
    }
}

/// The same text, if it is JSON.
fn json(text: &str) -> Option<String> {
    serde_json::from_str::<&RawValue>(text).ok().map(|json| json.get().to_owned())
}

fn cast(value: Constant, to: &str) -> Option<Constant> {
    match (to, value) {
        (_, Constant::Null) => Some(Constant::Null),
        ("json" | "jsonb", value) => value.into_json().map(Constant::Json),
        ("text" | "varchar", Constant::Text(text)) => Some(Constant::Text(text)),
        ("int" | "integer" | "int4", Constant::Json(text) | Constant::Text(text)) => integer(&text).map(Constant::Json),
        _ => None,
    }
}

fn integer(text: &str) -> Option<String> {
    text.trim().parse::<i32>().ok().map(|number| number.to_string())
}

/// What `concat` makes of a value.
fn text(value: Constant) -> Option<String> {
    match value {
        Constant::Null => Some(String::new()),
        Constant::Text(text) => Some(text),
        Constant::Json(text) => integer(&text),
    }
}

/// An object of names and values that take turns.
fn object(list: Vec<Constant>) -> Option<Constant> {
    let mut members = Vec::new();
    let mut list = list.into_iter();
    while let Some(name) = list.next() {
        let Constant::Text(name) = name else { return None };
        let value = match list.next()? {
            Constant::Null => "null".to_owned(),
            Constant::Text(text) => serde_json::to_string(&text).ok()?,
            Constant::Json(text) => text,
        };
        members.push(format!("{}: {value}", serde_json::to_string(&name).ok()?));
    }
    Some(Constant::Json(format!("{{{}}}", members.join(", "))))
}
