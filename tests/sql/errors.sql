-- Bad input is an error where it is made.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
select edge.http_get_async(null);
select edge.http_get_async('example.com/path');
select edge.http_get_async('ftp://example.com/');
select edge.http_get_async('https://user:password@example.com/');
select edge.http_get_async('https://example.com/', params => '[1]');
select edge.http_get_async('https://example.com/', params => '{"a": {"b": 1}}');
select edge.http_get_async('https://example.com/', headers => '"x"');
select edge.http_get_async('https://example.com/', headers => '{"a b": "c"}');
select edge.http_get_async('https://example.com/', headers => '{"a": "b\r\nInjected: yes"}');
select edge.http_get_async('https://example.com/', headers => '{"Content-Length": "5"}');
select edge.http_get_async('https://example.com/', headers => '{"a": null}');
select edge.http_get_async('https://example.com/', timeout => '-1 s');
select edge.http_get_async('https://example.com/', timeout => '2 days');
select edge.http_get_async('https://example.com/', max_attempts => 0);
select edge.http_get_async('https://example.com/', run_at => 'infinity');
select edge.http_get_async('https://example.com/', idempotency_key => '');
select edge.http_get_async('https://example.com/', endpoint => 'nowhere');
select edge.http_get_async('https://example.com/', stream => 'television');
select edge.http_get_async('https://example.com/', on_complete => 'no_such_function');
select edge.http_get_async('https://example.com/', on_complete => 'pg_catalog.now');
select edge.create_endpoint('a b', 'https://example.com/');
select edge.create_endpoint('crm', 'example.com');
select edge.create_endpoint('crm', 'https://example.com/?a=b');
select edge.create_endpoint('crm', 'https://example.com/', profile => 'heroku');
select edge.create_endpoint('crm', 'https://example.com/', retry => '{"retry_on": ["2xx"]}');
select edge.create_endpoint('crm', 'https://example.com/', max_rate => 0);
select edge.create_endpoint('crm', 'https://example.com/', max_concurrency => 0);
select edge.create_endpoint('crm', 'https://example.com/', quota_action => 'shout');
select edge.create_endpoint('crm', 'https://example.com/', client_certificate => 'PEM');
select edge.alter_endpoint('nowhere', 'https://example.com/');
select edge.drop_endpoint('nowhere');
select edge.invoke('hello');
select edge.create_endpoint('crm', 'https://example.com/');
select edge.invoke('../hello', endpoint => 'crm');
select edge.invoke('hello', endpoint => 'crm', region => 'us east');
select edge.http_get_async('https://example.org/', endpoint => 'crm');
select edge.http_async('CONNECT', 'https://example.com/');
select edge.http_async('GE T', 'https://example.com/');
select edge.http_post_async('https://example.com/', to_jsonb(repeat('x', 7000000)));
select edge.wait(null);
select edge.wait(4711);
select edge.wait(1, '-1 s');
select edge.replay(4711);
select edge.replay_dead(max_calls => -1);
select edge.http_post_async('http://127.0.0.1:9/', '{"n": 1}', idempotency_key => 'taken', run_at => now() + interval '1 day') is not null as queued;
select edge.http_post_async('http://127.0.0.1:9/', '{"n": 2}', idempotency_key => 'taken');
begin;
select edge.http_get_async('http://127.0.0.1:9/') as id \gset
\set VERBOSITY default
select 'waiting in the transaction that queued it' as "case" from (select edge.wait(:id)) as waited;
rollback;
