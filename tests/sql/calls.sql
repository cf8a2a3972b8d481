-- What a user types, and what he reads.
select edge.http_post_async(:'base_url' || '/hello', '{"name": "Ada"}') as id \gset
select id = :id as id, state, status_code, content_type, body, json, error_class, error, attempts,
       finished_at >= started_at as in_order
from edge.wait(:id);
select edge.status(:id), (edge.result(:id)).status_code;

-- Arguments by name, in any order.
select edge.http_get_async(params => '{"q": ["a b", "c&d"], "n": 1.50}', url => :'base_url' || '/search') as id \gset
select state, json from edge.wait(:id);

-- A call that is rolled back does not exist.
begin;
select edge.http_post_async(:'base_url' || '/hello') as id \gset
rollback;
select edge.status(:id), edge.result(:id), edge.cancel(:id);

-- One that waits for its time can be cancelled, once.
select edge.http_post_async(:'base_url' || '/hello', run_at => now() + interval '1 hour') as id \gset
select edge.cancel(:id);
select state, error_class, error, attempts from edge.wait(:id);
select edge.cancel(:id);

-- The same key is the same call.
select edge.http_post_async(:'base_url' || '/hello', '{"n": 1}', idempotency_key => 'k') as id \gset
select edge.http_post_async(:'base_url' || '/hello', '{"n": 1}', idempotency_key => 'k') = :id as same;

-- A failure, read and replayed.
select edge.http_post_async(:'base_url' || '/broken', max_attempts => 1) as id \gset
select state, status_code, error_class, error from edge.wait(:id);
select method, attempts, status_code, error_class from edge.dead_letters where id = :id;
select edge.replay(:id) as copy \gset
select state, (select replay_of = :id from edge.calls where id = :copy) as linked from edge.wait(:copy);
select count(*) from edge.dead_letters where id = :id;
