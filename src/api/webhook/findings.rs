//! What is wrong with a trigger, and with what it names.

use super::subscription::{Secrets, Subscription};
use crate::api::handler::{self, Takes};
use crate::api::request;
use crate::domain::webhook::Webhook;
use crate::domain::webhook::doubt::{Doubt, Gap};
use crate::domain::webhook::error::WebhookError;
use crate::domain::{endpoint, header};
use crate::error::Error;
use crate::store::datum::RegProc;
use crate::store::trigger::callback;
use crate::store::trigger::catalog::{Found, Ground};
use crate::store::trigger::table::Table;
use crate::store::{endpoints, owner, secrets};

/// Something that is wrong.
pub struct Finding {
    pub weight: Weight,
    pub what: Error,
}

/// How wrong it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The trigger cannot do what it says.
    Fault,
    /// It names what is not there. It fires all the same, if it was there once, and a copy of the database has it as it is.
    Gone,
    /// The owner of the table lacks a right, which a dump that is restored may bring later.
    Right,
    /// Its calls fail as long as something is not there.
    Doubt,
    /// It works, and cannot tell of everything, as hardly anybody wants it.
    Gap,
    /// The same, as many want it.
    Remark,
}

/// All that is wrong, the worst first. Of arguments that cannot be read, the first thing.
pub fn of(found: &Found, table: &Table) -> Result<Vec<Finding>, Error> {
    let mut findings = Findings(Vec::new());
    if found.ground == Ground::View {
        findings.add(Weight::Fault, WebhookError::OnAView);
        return Ok(findings.0);
    }
    let arguments: Vec<&[u8]> = found.arguments.iter().map(Vec::as_slice).collect();
    let subscription = match Subscription::read(&arguments, found.relation) {
        Ok(subscription) => subscription,
        Err(why) => {
            findings.add(Weight::Fault, why);
            return Ok(findings.0);
        }
    };
    let options = &subscription.webhook.options;
    if let Err(why) = found.shape.fits(options) {
        findings.add(Weight::Fault, why);
    }
    for (option, column) in options.named_columns().filter(|(_, name)| !found.columns.iter().any(|known| known == name))
    {
        findings.add(Weight::Gone, WebhookError::NoColumn { option, column: column.to_owned() });
    }
    findings.of_callback(&subscription, table)?;
    findings.of_secrets(&subscription, table)?;
    findings.of_endpoint(&subscription.webhook)?;
    if let Some(gap) = Gap::of(found.shape) {
        findings.add(if gap == Gap::Rows { Weight::Remark } else { Weight::Gap }, gap);
    }
    Ok(findings.0)
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, what: impl Into<Error>) {
        self.0.push(Finding { weight, what: what.into() });
    }

    /// The function has to be there, to fit, and to be one that may run as the table's owner.
    fn of_callback(&mut self, subscription: &Subscription, table: &Table) -> Result<(), Error> {
        let (Some(name), Some(given)) = (&subscription.on_complete, &subscription.webhook.options.on_complete) else {
            return Ok(());
        };
        let Some(function) = name.find() else {
            self.add(Weight::Gone, WebhookError::NoFunction(given.clone()));
            return Ok(());
        };
        match handler::check(table.owner, RegProc(function), Takes::Response) {
            Ok(found) if !callback::is_trusted_by(function, table.owner) => {
                let owner = owner::name(table.owner);
                self.add(Weight::Right, WebhookError::ForeignFunction { function: found.name, owner });
            }
            Ok(_) => {}
            Err(why @ Error::NotExecutable(_)) => self.add(Weight::Right, why),
            Err(why @ Error::NotACallback(_)) => self.add(Weight::Gone, why),
            Err(why) => return Err(why),
        }
        Ok(())
    }

    /// The owner has to be one who may use secrets, and they have to be there.
    fn of_secrets(&mut self, subscription: &Subscription, table: &Table) -> Result<(), Error> {
        if subscription.secrets == Secrets::None {
            return Ok(());
        }
        let headers = &subscription.webhook.headers;
        match request::may_hold_placeholders(table.owner, headers) {
            Ok(()) => {}
            Err(why @ Error::SecretsNotAllowed) => {
                self.add(Weight::Right, why);
                return Ok(());
            }
            Err(why) => return Err(why),
        }
        for name in header::secret_names(headers)? {
            if owner::acting(|| secrets::read(&name))?.is_none() {
                self.add(Weight::Doubt, Doubt::NoSecret(name));
            }
        }
        Ok(())
    }

    /// The endpoint has to be there, and the URL has to be one of its own.
    fn of_endpoint(&mut self, webhook: &Webhook) -> Result<(), Error> {
        let Some(name) = webhook.endpoint.as_deref() else { return Ok(()) };
        let found = match owner::acting(|| endpoints::find(name)) {
            Ok(found) => found,
            // Somebody may have written its row by hand.
            Err(why) => {
                self.add(Weight::Doubt, Doubt::Unreadable { endpoint: name.to_owned(), why: why.to_string() });
                return Ok(());
            }
        };
        match found {
            None => self.add(Weight::Doubt, Doubt::NoEndpoint(name.to_owned())),
            Some(found) => {
                if let Err(why) = endpoint::resolve(&found.base, &webhook.url) {
                    self.add(Weight::Doubt, Doubt::Elsewhere { endpoint: name.to_owned(), why });
                }
            }
        }
        Ok(())
    }
}
