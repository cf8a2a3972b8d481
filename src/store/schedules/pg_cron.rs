//! The jobs of pg_cron, where it is in this database.
//!
//! These statements run as whoever asks, since pg_cron decides by that which jobs he may see and change. So each name and each
//! operator in them says where it comes from.

use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use crate::error::Error;
use crate::store::statement::statements;

/// A job of pg_cron.
pub struct Job {
    pub id: i64,
    /// Its name, or one made of its number.
    pub name: String,
    pub schedule: String,
    pub timezone: String,
    pub active: bool,
    pub command: String,
    /// Where it runs.
    pub database: Place,
    /// As whom it runs.
    pub owner: String,
    /// `None` where there is no such role any more.
    pub role: Option<pg_sys::Oid>,
    /// Whether that role may use pg_edge.
    pub has_access: bool,
}

/// The database that a job runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    /// Another one, of this name.
    Elsewhere(String),
}

statements! {
    IS_HERE() = "
        select exists (select from pg_catalog.pg_extension where extname operator(pg_catalog.=) 'pg_cron')";

    JOBS(TEXTOID) = "
        select job.id, named.name, job.schedule, job.timezone, job.active, job.target, job.database::pg_catalog.text,
               job.database operator(pg_catalog.=) pg_catalog.current_database(), job.owner::pg_catalog.text, pg_roles.oid,
               pg_catalog.has_function_privilege(pg_roles.oid, 'edge.run_now(text)'::pg_catalog.regprocedure, 'execute')
        from edge.all_schedules as job
        left join pg_catalog.pg_roles on pg_roles.rolname operator(pg_catalog.=) job.owner,
             lateral (select coalesce(job.name, 'cron job ' operator(pg_catalog.||) job.id::pg_catalog.text)) as named (name)
        where job.source operator(pg_catalog.=) 'pg_cron' and named.name operator(pg_catalog.~~) $1
        order by job.id";

    MAY_ALTER() = "
        select coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure(
            'cron.alter_job(bigint,text,text,text,text,boolean)')::pg_catalog.oid, 'execute'), false)";

    DEACTIVATE(INT8OID) = "select cron.alter_job(job_id => $1, active => false)";
}

/// Whether pg_cron is in this database.
pub fn is_here() -> Result<bool, Error> {
    Spi::connect(|client| {
        let is_here = IS_HERE.with(|statement| statement.read(client, &[]))?.first().get_one::<bool>()?;
        Ok(is_here.unwrap_or(false))
    })
}

/// The jobs that the caller may see, whose names are like the pattern.
pub fn jobs(pattern: &str) -> Result<Vec<Job>, Error> {
    Spi::connect(|client| {
        let rows = JOBS.with(|statement| statement.read(client, &[pattern.into()]))?;
        rows.map(|row| job(&row)).collect()
    })
}

fn job(row: &SpiHeapTupleData<'_>) -> Result<Job, Error> {
    let here = row.get::<bool>(8)?.unwrap_or(false);
    let database: String = row.get(7)?.unwrap_or_default();
    Ok(Job {
        id: row.get(1)?.ok_or(Error::Malformed)?,
        name: row.get(2)?.ok_or(Error::Malformed)?,
        schedule: row.get(3)?.ok_or(Error::Malformed)?,
        timezone: row.get(4)?.ok_or(Error::Malformed)?,
        active: row.get(5)?.ok_or(Error::Malformed)?,
        command: row.get(6)?.ok_or(Error::Malformed)?,
        database: if here { Place::Here } else { Place::Elsewhere(database) },
        owner: row.get(9)?.ok_or(Error::Malformed)?,
        role: row.get(10)?,
        has_access: row.get(11)?.unwrap_or(false),
    })
}

/// Whether the caller may change jobs of pg_cron. It takes that right from everybody but superusers.
pub fn may_alter() -> Result<bool, Error> {
    Spi::connect(|client| {
        let may = MAY_ALTER.with(|statement| statement.read(client, &[]))?.first().get_one::<bool>()?;
        Ok(may.unwrap_or(false))
    })
}

/// Has a job run no more.
pub fn deactivate(job: i64) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DEACTIVATE.with(|statement| statement.write(client, &[job.into()]))?;
        Ok(())
    })
}
