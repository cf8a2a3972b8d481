-- What users read. Each view shows a role its own calls only; superusers and members of pg_monitor see all.

-- Who reads, and whether what was sent and answered is his to read whosoever it is. Monitors see whose rows there are, and no more.
create view edge_store.reader as
select role.oid as role, role.rolsuper as reads_all
from pg_catalog.pg_roles as role
where role.oid = edge_store.current_role_oid();

-- Every call with what is known of it, for the functions and views below. Nobody else has rights on it.
create view edge_store.call as
select
    request.id,
    request.slot,
    request.owner,
    request.method,
    coalesce(response.url, request.url) as url,
    coalesce(request.endpoint, edge_store.origin(request.url)) as endpoint,
    endpoint.base_url,
    request.queued_at,
    request.run_at,
    request.metadata,
    request.replay_of,
    request.on_complete,
    case
        when response.state is not null then
            case response.state
                when 's' then 'succeeded'
                when 'f' then 'failed'
                when 'c' then 'cancelled'
                when 't' then 'truncated'
                when 'e' then 'expired'
            end
        when stream.call_id is not null then 'streaming'
        when job.accepted_at is not null then 'accepted'
        when leased.number > coalesce(deferred.tries, 0) then 'running'
        when deferred.tries > 0 then 'retrying'
        else 'pending'
    end as state,
    coalesce(response.attempts, deferred.tries, leased.number - 1, 0)::integer as attempts,
    coalesce(response.status_code, stream.status_code, job.status_code)::integer as status_code,
    coalesce(response.headers, stream.headers, job.headers) as headers,
    response.body as body_bytes,
    response.error_class,
    response.error,
    response.started_at,
    response.finished_at,
    response.dns_us,
    response.connect_us,
    response.tls_us,
    response.first_byte_us,
    response.total_us,
    response.remote,
    deferred.due_at,
    response.events,
    response.dialect,
    response.usage
from edge_store.request
left join edge_store.response on response.call_id = request.id and response.slot = request.slot
left join edge_store.stream on stream.call_id = request.id
left join edge_store.job on job.call_id = request.id
left join edge_store.deferred on deferred.call_id = request.id
left join edge_store.endpoint on endpoint.name = request.endpoint
left join (
    select entry.call_id, max(entry.number) as number
    from edge_store.lease, unnest(lease.call_ids, lease.numbers) as entry (call_id, number)
    group by entry.call_id
) as leased on leased.call_id = request.id;

-- What somebody wrote himself is not a monitor's to read: metadata, into which a trigger may copy values of a table's rows, and the
-- words of a function that said that it failed. Who reads is asked once a query, and by no join, so that plans stay what they are.
create view edge.calls with (security_barrier) as
select
    call.id,
    pg_catalog.pg_get_userbyid(call.owner) as owner,
    call.endpoint,
    call.method,
    edge_store.redacted_url(call.url, call.base_url) as url,
    call.state,
    call.attempts,
    call.status_code,
    call.error_class,
    case
        when call.error_class not in ('job', 'stream')
          or call.owner = (select edge_store.current_role_oid())
          or (select reader.reads_all from edge_store.reader)
        then call.error
    end as error,
    call.queued_at,
    call.run_at,
    call.finished_at,
    case
        when call.owner = (select edge_store.current_role_oid()) or (select reader.reads_all from edge_store.reader)
        then call.metadata
    end as metadata,
    call.replay_of,
    call.events,
    call.dialect,
    call.usage
from edge_store.call
where call.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

create view edge.attempts with (security_barrier) as
select
    attempt.call_id,
    attempt.number::integer as attempt,
    attempt.started_at,
    attempt.dns_us * interval '1 microsecond' as dns,
    attempt.connect_us * interval '1 microsecond' as connect,
    attempt.tls_us * interval '1 microsecond' as tls,
    attempt.first_byte_us * interval '1 microsecond' as first_byte,
    attempt.total_us * interval '1 microsecond' as total,
    attempt.remote,
    attempt.status_code::integer as status_code,
    attempt.error_class,
    case
        when attempt.error_class not in ('job', 'stream')
          or request.owner = (select edge_store.current_role_oid())
          or (select reader.reads_all from edge_store.reader)
        then attempt.error
    end as error,
    attempt.retry_at
from edge_store.attempt
join edge_store.request on request.id = attempt.call_id and request.slot = attempt.slot
where request.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage')
union all
select
    response.call_id,
    response.attempts::integer,
    response.started_at,
    response.dns_us * interval '1 microsecond',
    response.connect_us * interval '1 microsecond',
    response.tls_us * interval '1 microsecond',
    response.first_byte_us * interval '1 microsecond',
    response.total_us * interval '1 microsecond',
    response.remote,
    response.status_code::integer,
    response.error_class,
    case
        when response.error_class not in ('job', 'stream')
          or request.owner = (select edge_store.current_role_oid())
          or (select reader.reads_all from edge_store.reader)
        then response.error
    end,
    null
from edge_store.response
join edge_store.request on request.id = response.call_id and request.slot = response.slot
where response.started_at is not null
  and (request.owner = (select edge_store.current_role_oid())
       or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage'));

-- Failed calls that nobody has replayed yet, for the functions as well.
create view edge_store.dead_letter as
select
    request.id,
    request.owner,
    coalesce(request.endpoint, edge_store.origin(request.url)) as endpoint,
    endpoint.base_url,
    request.method,
    coalesce(response.url, request.url) as url,
    response.attempts::integer as attempts,
    response.status_code::integer as status_code,
    response.error_class,
    response.error,
    request.queued_at,
    response.finished_at,
    request.metadata
from edge_store.response
join edge_store.request on request.id = response.call_id and request.slot = response.slot
left join edge_store.endpoint on endpoint.name = request.endpoint
where response.state in ('f', 'e')
  and not exists (select from edge_store.replay where replay.call_id = response.call_id);

create view edge.dead_letters with (security_barrier) as
select
    dead_letter.id,
    pg_catalog.pg_get_userbyid(dead_letter.owner) as owner,
    dead_letter.endpoint,
    dead_letter.method,
    edge_store.redacted_url(dead_letter.url, dead_letter.base_url) as url,
    dead_letter.attempts,
    dead_letter.status_code,
    dead_letter.error_class,
    case
        when dead_letter.error_class not in ('job', 'stream')
          or dead_letter.owner = (select edge_store.current_role_oid())
          or (select reader.reads_all from edge_store.reader)
        then dead_letter.error
    end as error,
    dead_letter.queued_at,
    dead_letter.finished_at,
    case
        when dead_letter.owner = (select edge_store.current_role_oid()) or (select reader.reads_all from edge_store.reader)
        then dead_letter.metadata
    end as metadata
from edge_store.dead_letter
where dead_letter.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

create view edge.callback_errors with (security_barrier) as
select
    callback_error.call_id,
    pg_catalog.pg_get_userbyid(callback_error.owner) as owner,
    callback_error.function::regprocedure::text as function,
    callback_error.at,
    callback_error.sqlstate,
    callback_error.error
from edge_store.callback_error
where callback_error.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

create view edge.callbacks with (security_barrier) as
select
    callback.call_id,
    pg_catalog.pg_get_userbyid(callback.owner) as owner,
    callback.function::regprocedure::text as function,
    coalesce(callback.runs, 0)::integer as runs
from edge_store.callback
where callback.owner = (select edge_store.current_role_oid())
   or callback.owner <> 1 and pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');

create view edge.queued_per_role with (security_barrier) as
select
    pg_catalog.pg_get_userbyid(queued.owner) as owner,
    queued.calls as queued,
    nullif(pg_catalog.current_setting('pg_edge.max_queued_per_role')::bigint, 0) as max_queued
from edge_store.queued_per_role() as queued
where queued.owner = (select edge_store.current_role_oid())
   or pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage');
