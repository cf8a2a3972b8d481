//! SQL as tests write it: one short call a statement, and errors that name the statement and the SQLSTATE.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Notification, Row};

use super::cluster::{Cluster, SERVER_DEADLINE};
use super::wait::{eventually, within};

/// One session. Closing it is dropping it.
pub struct Db {
    client: Client,
    notifications: tokio::sync::Mutex<mpsc::UnboundedReceiver<Notification>>,
    notices: Arc<Mutex<Vec<String>>>,
}

/// What Postgres said when it refused a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// The five characters of the SQLSTATE, or empty when the connection broke.
    pub sqlstate: String,
    /// The sentence.
    pub message: String,
    /// The DETAIL, or empty.
    pub detail: String,
    /// The HINT, or empty.
    pub hint: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)?;
        for (name, text) in [("DETAIL", &self.detail), ("HINT", &self.hint)] {
            if !text.is_empty() {
                write!(f, " {name}: {text}")?;
            }
        }
        Ok(())
    }
}

impl From<tokio_postgres::Error> for SqlError {
    fn from(error: tokio_postgres::Error) -> Self {
        let said = error.as_db_error();
        let optional = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            sqlstate: optional(said.map(|said| said.code().code())),
            message: said.map_or_else(|| error.to_string(), |said| said.message().to_owned()),
            detail: optional(said.and_then(|said| said.detail())),
            hint: optional(said.and_then(|said| said.hint())),
        }
    }
}

impl Db {
    /// A session as `role` in the database `database` of the server whose socket lies in `socket_dir`.
    pub async fn open(socket_dir: &std::path::Path, role: &str, database: &str) -> Result<Self, SqlError> {
        let mut config = Config::new();
        config.host_path(socket_dir).user(role).dbname(database).application_name("harness");
        let (client, mut connection) = config.connect(NoTls).await?;
        let (notify, notifications) = mpsc::unbounded_channel();
        let notices = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&notices);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    AsyncMessage::Notification(notification) => drop(notify.send(notification)),
                    AsyncMessage::Notice(notice) => {
                        heard.lock().expect("no test panics in here").push(notice.message().to_owned());
                    }
                    _ => {}
                }
            }
        });
        Ok(Self { client, notifications: tokio::sync::Mutex::new(notifications), notices })
    }

    /// Runs one or more statements; panics with the error.
    pub async fn exec(&self, sql: &str) {
        self.try_exec(sql).await.unwrap_or_else(|error| panic!("{error}\nin: {sql}"));
    }

    /// Runs one or more statements.
    pub async fn try_exec(&self, sql: &str) -> Result<(), SqlError> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Runs what must fail, and gives the error.
    pub async fn fails(&self, sql: &str) -> SqlError {
        self.try_exec(sql).await.expect_err(&format!("this was to fail: {sql}"))
    }

    /// All rows.
    pub async fn rows(&self, sql: &str) -> Vec<Row> {
        self.rows_with(sql, &[]).await
    }

    /// All rows of a statement with parameters.
    pub async fn rows_with(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        let rows = self.client.query(sql, parameters).await;
        rows.unwrap_or_else(|error| panic!("{}\nin: {sql}", SqlError::from(error)))
    }

    /// The first column of every row.
    pub async fn column<T: FromSqlOwned>(&self, sql: &str) -> Vec<T> {
        self.rows(sql).await.iter().map(|row| first_column(row, sql)).collect()
    }

    /// The one value of the one row.
    pub async fn one<T: FromSqlOwned>(&self, sql: &str) -> T {
        self.one_with(sql, &[]).await
    }

    /// The one value of the one row of a statement with parameters.
    pub async fn one_with<T: FromSqlOwned>(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> T {
        let rows = self.rows_with(sql, parameters).await;
        assert_eq!(rows.len(), 1, "one row was awaited of: {sql}");
        first_column(&rows[0], sql)
    }

    /// The one value, if there is a row.
    pub async fn maybe<T: FromSqlOwned>(&self, sql: &str) -> Option<T> {
        let rows = self.rows(sql).await;
        assert!(rows.len() <= 1, "at most one row was awaited of: {sql}");
        rows.first().map(|row| first_column(row, sql))
    }

    /// The next notification of a channel this session listens to.
    pub async fn next_notification(&self) -> Notification {
        let mut notifications = self.notifications.lock().await;
        let next = within("a notification arrives", SERVER_DEADLINE, notifications.recv()).await;
        next.expect("the session is open")
    }

    /// The notices and warnings so far.
    pub fn notices(&self) -> Vec<String> {
        self.notices.lock().expect("no test panics in here").clone()
    }

    /// The process id of the session's backend.
    pub async fn backend_pid(&self) -> i32 {
        self.one("select pg_backend_pid()").await
    }

    /// The client beneath, for COPY, prepared statements and cancellation.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

fn first_column<T: FromSqlOwned>(row: &Row, sql: &str) -> T {
    row.try_get(0).unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
}

impl Cluster {
    /// A superuser's session in the database `postgres`.
    pub async fn connect(&self) -> Db {
        self.connect_as("postgres", "postgres").await
    }

    /// A session as a role in a database; panics when it is refused.
    pub async fn connect_as(&self, role: &str, database: &str) -> Db {
        self.try_connect_as(role, database).await.unwrap_or_else(|error| panic!("cannot connect as {role}: {error}"))
    }

    /// A session as a role in a database.
    pub async fn try_connect_as(&self, role: &str, database: &str) -> Result<Db, SqlError> {
        Db::open(self.socket_dir(), role, database).await
    }

    /// Makes an empty database.
    pub async fn create_database(&self, name: &str) {
        self.connect().await.exec(&format!("create database \"{name}\"")).await;
    }

    /// A superuser's session in a database that has the extension from now on.
    pub async fn create_extension(&self, database: &str) -> Db {
        let db = self.connect_as("postgres", database).await;
        db.exec("create extension pg_edge").await;
        db
    }

    /// Changes a setting of the whole server and returns when new sessions have it. Workers may need a moment more.
    pub async fn set(&self, name: &str, value: &str) {
        let value = value.replace('\'', "''");
        self.connect().await.exec(&format!("alter system set {name} = '{value}'")).await;
        self.reload().await;
    }

    /// Makes the server read its configuration, and returns when the postmaster has done so.
    pub async fn reload(&self) {
        let loaded = "select extract(epoch from pg_conf_load_time())::float8";
        let db = self.connect().await;
        let before: f64 = db.one(loaded).await;
        db.exec("select pg_reload_conf()").await;
        // A session inherits the time from the postmaster it was forked from. The clock may have been set back meanwhile.
        eventually("the server has read its configuration", SERVER_DEADLINE, || async {
            self.connect().await.one::<f64>(loaded).await != before
        })
        .await;
    }
}
