//! The commands of schedules that may begin, and as whom.

use std::time::SystemTime;

use pgrx::prelude::*;

use super::commands::count;
use crate::error::Error;
use crate::store::schedules::runs::Slot;
use crate::store::statement::statements;
use crate::store::time::to_timestamp;

/// A run whose turn it is.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub slot: Slot,
    pub run: i64,
    pub made: u32,
    pub whose: Whose,
    pub timeout_ms: Option<i32>,
}

/// As whom a command is to be run.
#[derive(Clone, Debug)]
pub enum Whose {
    Role {
        oid: pg_sys::Oid,
        can_login: bool,
        name: String,
    },
    /// The role may no longer use the extension.
    NoRights,
    /// The role is gone.
    NoRole,
    /// The schedule is gone.
    NoSchedule,
}

statements! {
    // The runs of a schedule are made one after the other, in their order, unless they may overlap. So of each schedule with
    // open runs only the first is looked at, however many there are; the schedules are found by walking the index. Roles take
    // turns, and so do the schedules of a role: a long row of runs that may overlap goes before nobody else's.
    CANDIDATES(INT8ARRAYOID, TIMESTAMPTZOID, INT8OID) = "
        with recursive its as (
            (select schedule_id as id from edge_store.schedule_run
             where finished_at is null and call_id is null order by schedule_id limit 1)
            union all
            select (select run.schedule_id from edge_store.schedule_run as run
                    where run.finished_at is null and run.call_id is null and run.schedule_id > its.id
                    order by run.schedule_id limit 1)
            from its where its.id is not null
        )
        select schedule_id, scheduled_for, run_id, attempts, is_dropped, oid, rolcanlogin, rolname, timeout_ms,
               may_use
        from (
            select *, pg_catalog.row_number() over (partition by oid order by turn, run_id) as place
            from (
                select run.schedule_id, run.scheduled_for, run.run_id, run.attempts, schedule.id is null as is_dropped,
                       role.oid, role.rolcanlogin, role.rolname::text, schedule.timeout_ms,
                       case when role.oid is not null
                            then pg_catalog.has_function_privilege(role.oid, 'edge.run_now(text)'::pg_catalog.regprocedure, 'execute') end
                            as may_use,
                       pg_catalog.row_number() over (partition by run.schedule_id order by run.run_id) as turn
                from its
                left join edge_store.schedule on schedule.id = its.id
                left join pg_catalog.pg_roles as role on role.oid = schedule.owner
                cross join lateral (
                    select *, state = 'waiting' and not cancel_asked and run_id <> all ($1) and coalesce(retry_at <= $2, true)
                              as may_begin
                    from edge_store.schedule_run as open
                    where open.schedule_id = its.id and open.finished_at is null and open.call_id is null
                      and (coalesce(schedule.overlap, '') <> 'allow'
                           or open.state = 'waiting' and not open.cancel_asked and open.run_id <> all ($1))
                    order by open.run_id limit case when schedule.overlap = 'allow' then $3 else 1 end
                ) as run
                where run.may_begin and (schedule.id is null or schedule.kind = 's')
            ) as of_each
        ) as placed
        order by place, run_id limit $3";
}

/// The runs that may begin now, those of each role in turn, without those that are in hand already.
pub fn candidates(in_hand: Vec<i64>, now: SystemTime, limit: usize) -> Result<Vec<Candidate>, Error> {
    Spi::connect(|client| {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let args = [in_hand.into(), to_timestamp(now).into(), limit.into()];
        let rows = CANDIDATES.with(|statement| statement.read(client, &args))?;
        rows.map(|row| {
            let whose = match (row.get(5)?, row.get(6)?) {
                (Some(true), _) => Whose::NoSchedule,
                (_, None) => Whose::NoRole,
                _ if row.get(10)? != Some(true) => Whose::NoRights,
                (_, Some(oid)) => {
                    Whose::Role { oid, can_login: row.get(7)?.unwrap_or(false), name: row.get(8)?.unwrap_or_default() }
                }
            };
            Ok(Candidate {
                slot: Slot {
                    schedule: row.get(1)?.ok_or(Error::Malformed)?,
                    scheduled_for: row.get(2)?.ok_or(Error::Malformed)?,
                },
                run: row.get(3)?.ok_or(Error::Malformed)?,
                made: count(row.get(4)?),
                whose,
                timeout_ms: row.get(9)?,
            })
        })
        .collect()
    })
}
