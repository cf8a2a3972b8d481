-- Background jobs, as users read them: a role its own, superusers and members of pg_monitor all.

-- How far a job is, is what its function says: its owner's, as a body is.
create view edge.jobs with (security_barrier) as
select
    job.call_id as id,
    pg_catalog.pg_get_userbyid(request.owner) as owner,
    request.endpoint,
    call.state,
    job.number::integer as attempt,
    job.sent_at,
    job.accepted_at,
    job.heard_at,
    case when job.token is not null then job.lease_until end as lease_until,
    request.deadline_ms * interval '1 millisecond' as deadline,
    request.heartbeat_ms * interval '1 millisecond' as heartbeat,
    case when reader.reads_all or request.owner = reader.role then job.progress end as progress,
    refused.reports as refused_reports,
    refused.last_at as refused_at,
    refused.last as refused
from edge_store.job
join edge_store.request on request.id = job.call_id
join edge_store.call on call.id = job.call_id
cross join lateral (
    select
        count(*) as reports,
        max(report.at) as last_at,
        (array_agg(report.report || ': ' || case report.reason
            when 'l' then 'the lease had run out'
            when 's' then 'the delivery had been reported on already'
            when 'o' then 'the delivery was over'
        end order by report.at desc))[1] as last
    from edge_store.refused_report as report
    where report.call_id = job.call_id
) as refused
cross join edge_store.reader
where request.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');
