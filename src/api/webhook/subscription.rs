//! What a trigger asks for, ready to be done: read once, and kept for as long as its arguments are the same.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;
use std::time::Duration;

use pgrx::datum::Interval;
use pgrx::prelude::*;

use crate::api::{arguments, jobs};
use crate::domain::header;
use crate::domain::job::{Terms, USUAL};
use crate::domain::webhook::Webhook;
use crate::domain::webhook::error::WebhookError;
use crate::domain::webhook::options::{self, Job, WhenChanged};
use crate::error::Error;
use crate::store::datum::Jsonb;
use crate::store::literal;
use crate::store::trigger::callback::Name;
use crate::store::trigger::fired::Fired;
use crate::store::trigger::lineage;
use crate::store::trigger::row::Row;

/// More triggers than this are read anew.
const KEPT: usize = 1024;

/// Nothing is put off longer than ten years.
const LONGEST_DELAY: i128 = 10 * 366 * 24 * 60 * 60 * 1_000_000;

/// What a trigger asks for.
pub struct Subscription {
    pub webhook: Webhook,
    /// The table whose owner's calls they are.
    pub root: pg_sys::Oid,
    /// As the queue keeps them.
    pub headers: Option<String>,
    pub secrets: Secrets,
    /// The columns that are sent or become metadata, where those are not all.
    pub wanted: Option<Vec<String>>,
    pub timeout_ms: Option<i32>,
    pub max_attempts: Option<i16>,
    /// Of a background job.
    pub terms: Option<Terms>,
    pub on_complete: Option<Name>,
    /// In microseconds.
    pub delay: Option<i64>,
}

/// Whether headers name secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    None,
    Named,
}

struct Kept {
    arguments: Vec<CString>,
    subscription: Rc<Subscription>,
}

thread_local! {
    static KNOWN: RefCell<HashMap<pg_sys::Oid, Kept>> = RefCell::default();
}

/// The subscription of a trigger that has fired.
pub fn of(fired: &Fired<'_>) -> Result<Rc<Subscription>, Error> {
    let arguments = fired.arguments();
    let is_it = |kept: &Kept| kept.arguments.iter().map(CString::as_c_str).eq(arguments.iter().copied());
    let known = KNOWN.with_borrow(|known| {
        known.get(&fired.number()).filter(|kept| is_it(kept)).map(|kept| Rc::clone(&kept.subscription))
    });
    if let Some(subscription) = known {
        return Ok(subscription);
    }
    let root = if fired.is_clone() { lineage::root(fired.number()) } else { Some(fired.relation()) };
    let texts = arguments.iter().map(|argument| argument.to_bytes()).collect::<Vec<_>>();
    let subscription = Rc::new(Subscription::read(&texts, root.unwrap_or(fired.relation()))?);
    if root.is_none() {
        // Of what was not found, nothing is remembered.
        return Ok(subscription);
    }
    let kept = Kept {
        arguments: arguments.iter().copied().map(CStr::to_owned).collect(),
        subscription: Rc::clone(&subscription),
    };
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(fired.number(), kept);
    });
    Ok(subscription)
}

impl Subscription {
    /// Reads a trigger's arguments.
    pub fn read(arguments: &[&[u8]], root: pg_sys::Oid) -> Result<Self, Error> {
        let texts: Result<Vec<&str>, _> = arguments.iter().map(|bytes| std::str::from_utf8(bytes)).collect();
        let webhook = Webhook::parse(&texts.map_err(|_| Error::NotUtf8("an argument"))?)?;
        let options = &webhook.options;
        if let Some(metadata) = &options.metadata {
            let value = Jsonb::parse(metadata)
                .ok_or_else(|| options::refused("metadata", "JSON that jsonb can hold", metadata))?;
            arguments::metadata(value)?;
        }
        let secrets = if header::holds_placeholder(&webhook.headers)? { Secrets::Named } else { Secrets::None };
        Ok(Self {
            root,
            headers: header::to_block(&webhook.headers),
            secrets,
            wanted: options.columns.as_ref().map(|columns| [columns.as_slice(), &options.metadata_columns].concat()),
            timeout_ms: arguments::timeout(interval("timeout", options.timeout.as_deref())?)?,
            max_attempts: arguments::max_attempts(options.max_attempts)?,
            terms: options.job.as_ref().map(terms).transpose()?,
            on_complete: options.on_complete.as_deref().map(function).transpose()?,
            delay: delay(interval("delay", options.delay.as_deref())?)?,
            webhook,
        })
    }

    /// Whether a row's change is one that is to be told of.
    pub fn is_to_be_told(&self, old: Option<&Row<'_>>, new: Option<&Row<'_>>) -> bool {
        let (Some(old), Some(new)) = (old, new) else { return true };
        match &self.webhook.options.when_changed {
            WhenChanged::Always => true,
            WhenChanged::Any => new.differs(old, None),
            WhenChanged::OneOf(columns) => new.differs(old, Some(columns)),
        }
    }
}

fn interval(option: &'static str, given: Option<&str>) -> Result<Option<Interval>, Error> {
    let Some(text) = given else { return Ok(None) };
    match literal::interval(text) {
        Some(interval) => Ok(Some(interval)),
        None => Err(options::refused(option, "an interval, such as \"10 s\"", text).into()),
    }
}

fn delay(given: Option<Interval>) -> Result<Option<i64>, Error> {
    let Some(given) = given else { return Ok(None) };
    let delay = arguments::within("delay", "zero or longer, and at most ten years", 0..=LONGEST_DELAY, given)?;
    Ok(i64::try_from(delay.as_micros()).ok())
}

fn terms(job: &Job) -> Result<Terms, Error> {
    let limit = |name, given: &Option<String>| -> Result<Option<Duration>, Error> {
        interval(name, given.as_deref())?.map(|given| jobs::limit(name, given)).transpose()
    };
    Ok(Terms {
        deadline: limit("deadline", &job.deadline)?.unwrap_or(USUAL),
        heartbeat: limit("heartbeat", &job.heartbeat)?,
    })
}

fn function(given: &str) -> Result<Name, Error> {
    let no_name = || WebhookError::FunctionName(given.to_owned());
    let parts = literal::identifiers(given).ok_or_else(no_name)?;
    let [schema, function] = parts.as_slice() else { return Err(no_name().into()) };
    Ok(Name::new(schema, function).ok_or_else(no_name)?)
}
