-- What is wrong in this database, and what to do about it. Everybody sees what he may see of each part; the parts are in sql/health.

create view edge.problems with (security_barrier) as
select subject, problem, advice from edge_store.problem_of_dispatcher
union all
select subject, problem, advice from edge_store.problem_of_retention
union all
select subject, problem, advice from edge_store.problem_of_backlog
union all
select subject, problem, advice from edge_store.problem_of_endpoint
union all
select subject, problem, advice from edge_store.problem_of_quota
union all
select subject, problem, advice from edge_store.problem_of_secret
union all
select subject, problem, advice from edge_store.problem_of_dead_letters
union all
select subject, problem, advice from edge_store.problem_of_callbacks
union all
select subject, problem, advice from edge_store.problem_of_leases
union all
select subject, problem, advice from edge_store.problem_of_redeliveries
union all
select subject, problem, advice from edge_store.problem_of_schedules
union all
select subject, problem, advice from edge_store.problem_of_websockets
union all
select 'trigger ' || found.trigger || ' of table ' || found.relation, found.problem, found.advice from edge.webhook_problems as found;

-- In PL/pgSQL, which plans the second statement once it gets there, and each time anew: nothing of pg_edge can be asked on a server that
-- has started without its library, and that is then what is wrong; and a plan for short queues is none for long ones. Such a
-- server may know the settings by name, and does not list them. To compile the plan would take ten times as long as to carry it out.
create function edge.health() returns jsonb
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    health jsonb;
begin
    if not exists (select from pg_settings where name = 'pg_edge.retention') then
        return jsonb_build_object('ok', false, 'problems', jsonb_build_array(jsonb_build_object(
            'subject', 'library',
            'problem', 'the server was started without pg_edge: calls cannot be queued, and none is sent',
            'advice', 'add pg_edge to shared_preload_libraries, and restart the server')));
    end if;
    execute $query$
        select jsonb_build_object(
            'ok', count(*) = 0,
            'problems', coalesce(jsonb_agg(jsonb_build_object(
                'subject', found.subject, 'problem', found.problem, 'advice', found.advice)
                order by found.subject, found.problem), '[]'::jsonb))
        from edge.problems as found
    $query$ into health;
    return health;
end
$$;
