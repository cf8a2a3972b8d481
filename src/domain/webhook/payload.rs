//! What a function is told of one row: the shape that Supabase's database webhooks have.

use super::record::{Column, Record, quoted};
use super::shape::Event;

/// Where a row is, and what was done to it, as far as it is the same for all rows of a statement.
#[derive(Clone, Debug)]
pub struct Heading {
    /// The JSON up to the record.
    text: String,
}

impl Heading {
    /// Of a table.
    pub fn new(event: Event, schema: &str, table: &str) -> Self {
        let (event, table, schema) = (event.name(), quoted(table), quoted(schema));
        Self { text: format!(r#"{{"type":"{event}","table":{table},"schema":{schema},"record":"#) }
    }
}

/// A row as it is and as it was.
#[derive(Clone, Debug, Default)]
pub struct Change<'a> {
    /// None where it is gone.
    pub record: Option<Record<'a>>,
    /// None where there was none.
    pub old_record: Option<Record<'a>>,
    /// Columns that are left out because they are too large, and are not in the records any more.
    pub omitted: Vec<String>,
}

impl<'a> Change<'a> {
    /// The same with these columns alone.
    #[must_use]
    pub fn only(self, wanted: &[String]) -> Self {
        let Self { record, old_record, mut omitted } = self;
        omitted.retain(|column| wanted.contains(column));
        Self {
            record: record.map(|record| record.only(wanted)),
            old_record: old_record.map(|record| record.only(wanted)),
            omitted,
        }
    }

    /// These columns of the row as members of an object, beside those that it has already.
    pub fn metadata(&self, fixed: Option<&str>, wanted: &[String]) -> String {
        let row = self.record.clone().or_else(|| self.old_record.clone());
        let chosen = row.map(|row| row.only(wanted).into_columns()).unwrap_or_default();
        let mut columns = Record::Whole(fixed.unwrap_or("{}")).into_columns();
        columns.retain(|member| chosen.iter().all(|column| column.name != member.name));
        columns.extend(chosen);
        let mut text = String::new();
        Record::Parts(columns).write(&mut text);
        text
    }

    /// The JSON, in at most so many bytes: columns that are too large are left out, largest first, and named. Where nothing is
    /// left that could be left out, it may still be larger.
    pub fn tell(self, heading: &Heading, limit: usize) -> String {
        let whole = heading.text.len() + FRAME + size(&self.record) + size(&self.old_record);
        if whole + names_size(&self.omitted) <= limit {
            return self.write(heading);
        }
        self.shortened(heading, limit).write(heading)
    }

    /// The same without its largest columns.
    fn shortened(self, heading: &Heading, limit: usize) -> Self {
        let Self { record, old_record, mut omitted } = self;
        let bare = heading.text.len() + FRAME + size_without_columns(&record) + size_without_columns(&old_record);
        let (record, old_record) = (record.map(Record::into_columns), old_record.map(Record::into_columns));
        let mut sizes = sizes(record.as_deref().unwrap_or_default(), old_record.as_deref().unwrap_or_default());
        sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let mut total = bare + sizes.iter().map(|(_, size)| size).sum::<usize>();
        for (name, size) in sizes {
            if total + names_size(&omitted) <= limit {
                break;
            }
            total -= size;
            omitted.push(name);
        }
        let parts = |columns: Option<Vec<Column<'a>>>| columns.map(|columns| Record::Parts(columns).without(&omitted));
        Self { record: parts(record), old_record: parts(old_record), omitted }
    }

    fn write(&self, heading: &Heading) -> String {
        let size = size(&self.record) + size(&self.old_record) + names_size(&self.omitted);
        let mut text = String::with_capacity(heading.text.len() + FRAME + size);
        text.push_str(&heading.text);
        record(&self.record, &mut text);
        text.push_str(r#","old_record":"#);
        record(&self.old_record, &mut text);
        if !self.omitted.is_empty() {
            let names: Vec<String> = self.omitted.iter().map(|name| quoted(name)).collect();
            text.push_str(r#","omitted":["#);
            text.push_str(&names.join(","));
            text.push(']');
        }
        text.push('}');
        text
    }
}

/// What is written beside the heading, the records and the names of what is left out.
const FRAME: usize = r#","old_record":}"#.len();

fn size(record: &Option<Record<'_>>) -> usize {
    record.as_ref().map_or("null".len(), Record::size)
}

fn size_without_columns(record: &Option<Record<'_>>) -> usize {
    record.as_ref().map_or("null".len(), |_| "{}".len())
}

fn names_size(omitted: &[String]) -> usize {
    let names: usize = omitted.iter().map(|name| quoted(name).len() + 1).sum();
    if names == 0 { 0 } else { names + r#","omitted":[]"#.len() }
}

fn record(record: &Option<Record<'_>>, to: &mut String) {
    match record {
        Some(record) => record.write(to),
        None => to.push_str("null"),
    }
}

/// What each column takes in both records, in the table's order.
fn sizes(record: &[Column<'_>], old_record: &[Column<'_>]) -> Vec<(String, usize)> {
    let mut sizes: Vec<(String, usize)> = Vec::with_capacity(record.len().max(old_record.len()));
    for (place, column) in record.iter().enumerate().chain(old_record.iter().enumerate()) {
        // Both have the same columns in the same order.
        match sizes.get_mut(place).filter(|(name, _)| *name == column.name) {
            Some((_, size)) => *size += column.size(),
            None => sizes.push((column.name.clone().into_owned(), column.size())),
        }
    }
    sizes
}
