-- What every object is, for \d+ and \df+. "Milliseconds" and "bytes" are said where they are meant; durations are intervals.

comment on schema edge is 'pg_edge: functions to call and views to read. Start with edge.http_post_async and edge.wait.';
comment on schema edge_store is 'pg_edge: its tables. Not part of the contract, and nobody but a superuser has rights on it.';

comment on type edge.response is 'A call as it stands: identity, state, and once it has ended the answer. body is null where the bytes are not text (then read body_bytes); json is null where the body is not JSON that jsonb can hold; a header that came more than once is a JSON array.';

comment on type edge.event is 'An event of a streamed answer: which call''s, its number in it (from 1, without gaps), its type (null in a format that has none), what it says as text and, where that is JSON that jsonb can hold, as JSON, the last id that the stream has named, and when it came.';

comment on function edge.http_post_async is 'Queues a POST with a JSON body in the running transaction and gives its id at once. It is sent after the commit, never on rollback, and retried (3 attempts unless max_attempts says otherwise). params are appended to the URL. With stream (sse, ndjson, raw, auto) the answer lands event by event in edge.events instead of as a body. Errors: 22023 for anything that could not be sent.';
comment on function edge.http_put_async is 'Queues a PUT with a JSON body. As edge.http_post_async.';
comment on function edge.http_patch_async is 'Queues a PATCH with a JSON body. As edge.http_post_async.';
comment on function edge.http_get_async is 'Queues a GET. As edge.http_post_async, without a body.';
comment on function edge.http_delete_async is 'Queues a DELETE, with a JSON body where one is given. As edge.http_post_async.';
comment on function edge.http_async is 'Queues a call with any method, any bytes as its body and any content type (application/octet-stream where none is given). As edge.http_post_async.';

comment on function edge.invoke is 'Queues a call of a function of an endpoint, as the platforms'' own clients make it: a JSON string is sent as text/plain, any other body as application/json, none without a content type; a region goes into the header x-region and the parameter forceFunctionRegion. The function''s URL is the endpoint''s base at the time of sending. The other arguments, stream among them, are those of edge.http_post_async.';

comment on function edge.job is 'Queues a call of a function, as edge.invoke does, that the function may accept now and complete later: by an answer of 202, a 2xx with {"queued": true}, or the header x-edge-accepted: 1. It then has until the deadline (counted from the sending), and with heartbeat may not be silent for longer, before it is called again as the next attempt. It reports with edge.complete, edge.fail and edge.heartbeat, by the call''s id (header X-Edge-Job) and the token of the delivery (X-Edge-Token). Any other 2xx ends the call as usual.';
comment on function edge.complete is 'Says that a job is done; the result becomes the body of the call. For everybody who has the token of the present delivery. False, and nothing changes, where the token is another one, the lease has run out, or the job has ended. Takes effect with the commit, and then for good.';
comment on function edge.fail is 'Says that the present delivery of a job has failed. With retry it is delivered again, while there are attempts left; else the call fails at once. Of the error 8192 bytes are kept. False as edge.complete.';
comment on function edge.heartbeat is 'Says that a job is being worked on: its lease lasts for another heartbeat (or deadline, where the job has none) from now, and is never made shorter. Progress, up to 4096 bytes as ASCII, is kept, and sent along (X-Edge-Progress) should the job be delivered again. False as edge.complete.';

comment on function edge.invoke_batch is 'Calls a function of an endpoint with lists of items: one call for every max_items of them, and for less where the body would be larger than max_bytes or than the endpoint takes. Gives the ids of the calls, in the order of the items. After an answer of 413 or 546 the items are sent as two calls; items that an answer of 207 names as failed (failed: their indexes, failedJobs: themselves) are sent again by themselves, in at most max_attempts rounds. Those calls have replay_of set. The calls'' idempotency keys are the one given with -1, -2 and so on. Errors: 22023, 22004, 42704.';

comment on function edge.create_endpoint is 'Makes a named endpoint: a base URL, headers that every call gets (values may hold ${secret:NAME}, ${file:NAME}, ${vault:NAME}), a profile (generic, supabase-free, supabase-pro, cloudflare, deno) whose limits hold where none is given, a retry policy (edge.retry_policy() or the name of a preset), limits of time, size in bytes, concurrency and calls per second, and secrets that sign. Errors: 22023, 42710 where the name is taken.';
comment on function edge.alter_endpoint is 'Changes an endpoint; what is null stays as it is, what reset names (timeout, max_rate, …) is left open again, and headers are replaced as a whole. Calls that wait are sent to it as it is then. Errors: 22023, 42704.';
comment on function edge.drop_endpoint is 'Removes an endpoint. Where it has calls that have not ended, schedules or open websockets, this is an error (55006), unless it is forced: the calls then fail, and can be replayed once there is an endpoint of that name again; the schedules are stopped.';
comment on function edge.enable_endpoint is 'Sends the calls of an endpoint again.';
comment on function edge.disable_endpoint is 'Lets the calls of an endpoint wait until it is enabled. The note is shown in edge.endpoints.';
comment on function edge.retry_policy is 'A retry policy as JSON, for an endpoint; durations in seconds. The wait before retry i (from 0) is base * factor^i, at most cap, plus up to jitter at random. retry_on replaces what is tried again: statuses (503), classes of statuses (5xx), and dns, connect, tls, timeout, protocol, connect_timeout, first_byte_timeout, idle_timeout. A call older than max_age is given up.';

comment on function edge.wait is 'Waits until a call has ended and gives it; when the timeout is over, gives it in its present state. Blocks on a latch. Needs READ COMMITTED, and a call that was queued by a transaction that has committed.';
comment on function edge.result is 'A call as it stands now, without waiting. Null where there is no such call of yours.';
comment on function edge.status is 'The state of a call: pending, running, streaming, accepted (a job that its function works on), retrying, or at its end succeeded, failed, truncated, cancelled, expired. Null where there is no such call of yours.';
comment on function edge.cancel is 'Asks that a call is not sent, or broken off: the connection is closed. Takes effect with the commit. False where it has ended already or is not yours.';
comment on function edge.replay is 'Queues a copy of a call that has ended, and gives the copy''s id. The copy has replay_of set; it keeps the idempotency key its user gave, and gets a new one where pg_edge made it.';
comment on function edge.replay_dead is 'Replays dead letters, oldest first, and tells how many: those of one endpoint, those that failed since a time, at most max_calls. Each is replayed once, also when two sessions do it at the same time.';

comment on function edge.tail is 'The events of a call whose answer is streamed, those after a number, as they come: until the stream has ended, or quietly when the timeout is over. Rows reach the client at once where the function stands in the select list; in FROM, in PL/pgSQL and where rows are sorted they come together at the end. Needs READ COMMITTED, and a call that was queued by a transaction that has committed. A stream that ended badly is told in a notice. Errors: 42704, 25000, 22004, 22023.';
comment on function edge.tail_text is 'The text of a call''s answer, piece by piece as it comes, until the stream has ended: copy (select edge.tail_text(42)) to stdout types it out. The text is where the stream''s dialect has it, or at a path into each event''s JSON: choices,0,delta,content or $.choices[0].delta.content. As edge.tail, but without a timeout of its own: statement_timeout and cancelling end it at once.';
comment on function edge.poll is 'The events of a call after a number, at most max_events. Where there are none yet it waits for the next ones, until the stream has ended or wait is over: for poolers and PostgREST, which give rows only once a statement has ended. As edge.tail.';
comment on function edge.stream_text is 'The text of a call''s answer as far as it has come, without waiting; path says where it is in an event, as for edge.tail_text. Null where there is no such call of yours.';

comment on function edge.pause is 'Sends nothing more in this database until edge.resume(); calls are still queued. True if that is a change. Takes effect with the commit.';
comment on function edge.resume is 'Sends again after edge.pause(). True if that is a change. Takes effect with the commit.';
comment on function edge.worker_status is 'How this database''s dispatcher is doing: its process, running, paused or down, since when, calls on the wire, calls that have not ended, when the oldest of them was queued, and the last error.';
comment on function edge.grant_access is 'Lets a role use pg_edge: queue calls and see its own. Takes the rights to grant, so a superuser.';
comment on function edge.revoke_access is 'Takes back what edge.grant_access gave. Calls that the role has queued are still made.';

comment on view edge.calls is 'Your calls, one row each; superusers and members of pg_monitor see all, these without metadata and a function''s own words in error. Credentials in URLs are hidden.';
comment on view edge.events is 'The events of your calls'' streamed answers, one row each, as soon as they are committed; superusers see all, and members of pg_monitor those of others without what they say: event, data, json and sse_id are null. json is null where data is not JSON that jsonb can hold.';
comment on view edge.jobs is 'Your background jobs that have been delivered and have not ended: when the present delivery was sent and accepted, when it was last heard of, until when its lease lasts, how far it is, and what was reported on it too late. Members of pg_monitor see those of others without progress.';
comment on column edge.jobs.refused_reports is 'How often a function has reported on it with the token of a delivery that was over, or whose lease was; a hundred are counted.';
comment on column edge.jobs.refused is 'The last such report, and why it was not taken; refused_at is when.';
comment on view edge.attempts is 'Every try of your calls, with the durations of its parts (null where a part did not happen, as on a reused connection), how it ended, and when the next was due.';
comment on view edge.dead_letters is 'Your calls that failed for good and have not been replayed: see edge.replay and edge.replay_dead.';
comment on view edge.callbacks is 'Your on_complete functions that are still to be run, or run just now. runs says how often one was begun, as far as that is counted: from the second time on, and after a restart. One that was begun pg_edge.max_interruptions times without coming to its end is given up.';
comment on view edge.callback_errors is 'Errors of on_complete functions. They do not change the call.';
comment on view edge.queued_per_role is 'How many calls of yours count towards pg_edge.max_queued_per_role, and how many may. Members of pg_monitor see every role. Counted only while the setting is on.';

comment on function edge.schedule is 'Runs SQL by a schedule: 5 cron fields (6 with seconds first), @daily and the like, every 10 seconds, at 2030-12-01 09:00. As the role that says so, each run in a process and a transaction of its own. A schedule of the same name of yours is replaced; one whose times stay as they were goes on where it stood. timezone is the database''s where none is named; dst is vixie, skip or literal; overlap (while a run has not ended) is skip, queue_one, allow or cancel; catchup (of what was missed within catchup_window) is one, skip or all; jitter puts each run off by up to that. Gives the schedule''s number. Errors: 22023, 42601.';
comment on function edge.schedule_invoke is 'Calls a function of an endpoint by a schedule. The call is that of edge.invoke, the schedule and its options are those of edge.schedule.';
comment on function edge.schedule_http is 'Calls a URL by a schedule, with a JSON body (none with GET and HEAD). The schedule and its options are those of edge.schedule.';
comment on function edge.unschedule(text, boolean) is 'Drops a schedule of yours. What runs goes on to its end, unless cancel is given; what waits is cancelled. False where there is none of that name. Its runs stay in edge.schedule_runs.';
comment on function edge.unschedule(bigint, boolean) is 'The same by the number of the schedule (id in edge.schedules); a superuser drops anybody''s, also one whose owner was dropped.';
comment on function edge.pause_schedule is 'Lets a schedule rest until edge.resume_schedule; the note and who gave it are shown in edge.schedules. Errors: 42704.';
comment on function edge.resume_schedule is 'Has a schedule run again, from now on: what it missed while it rested is not made up for. Errors: 42704, 22023 where it would never run again.';
comment on function edge.run_now is 'Runs a schedule now, also a paused one, whatever its plan and its other runs. Gives the id of the call; of a command, that of the run (run_id in edge.schedule_runs). Errors: 42704, 53400 where the role has too many calls.';
comment on function edge.backfill is 'Queues a run for each slot from one time to another, both included, that has not been run: so it can be repeated. Gives their number. They take place one after the other, unless overlap is allow. Errors: 42704, 22023 for more than 10000 slots, or times that have not come.';
comment on function edge.next_runs is 'When a schedule would run next after a moment, n times (1 to 1000), in a time zone (the database''s where none is named). Fewer, or none, where it ends.';
comment on function edge.describe_schedule is 'A schedule in English. Errors: 22023 where it is none.';

comment on function edge.import_pg_cron is 'Takes over the jobs of pg_cron in this database that you may see and whose names are like the pattern; a dry run only tells what it would do. When they run stays as it was (dialect, zone, dst literal); requests of pg_net with constant arguments become calls. Each job is deactivated in pg_cron in the same transaction; where you may not do that, the new schedule is inactive. note says what is to be known. Errors: 55000 where pg_cron is not in this database.';
comment on view edge.schedules is 'Your schedules: what they run and when, the next run, the last and its real outcome, and why one does not run (note). last_state is that of the last run that has ended.';
comment on view edge.schedule_runs is 'What became of each slot of your schedules: one row each, also where it was skipped (error says why; slots, how many in a row). state is where the call of the run stands, retries included, or its command; lateness is how long after scheduled_for it was begun. Kept for pg_edge.schedule_history.';
comment on view edge.all_schedules is 'Your schedules, and the jobs of pg_cron that you may see, where it is in this database.';

comment on column edge.schedules.name is 'Unique among the schedules of its owner.';
comment on column edge.schedules.kind is 'sql, function (of an endpoint) or http (a URL).';
comment on column edge.schedules.schedule is 'When it runs, as it was written.';
comment on column edge.schedules.timezone is 'By whose clock.';
comment on column edge.schedules.active is 'Whether it runs. Where not, note says why.';
comment on column edge.schedules.next_run_at is 'The slot that comes next; with jitter the run begins a little later. Null where it is not active, is over, or runs when the server starts.';
comment on column edge.schedules.last_run_at is 'When the last run began (of a call: when it was queued). A skipped slot is no run.';
comment on column edge.schedules.last_state is 'How the last run ended that has ended: succeeded, failed, cancelled, expired or truncated. A skipped slot is no run.';
comment on column edge.schedules.note is 'Why it does not run.';
comment on column edge.schedules.noted_by is 'Who said so: a role, or pg_edge itself.';
comment on column edge.schedules.owner is 'The role that it runs as.';
comment on column edge.schedules.description is 'The schedule in English.';
comment on column edge.schedules.target is 'The command, or the method and URL of the call with credentials hidden.';
comment on column edge.schedules.endpoint is 'The endpoint of a function.';
comment on column edge.schedules.overlap is 'What becomes of a run while the one before has not ended: skip, queue_one, allow or cancel.';
comment on column edge.schedules.catchup is 'What becomes of slots that were missed: one, skip or all.';
comment on column edge.schedules.catchup_window is 'What was missed longer ago is not made up for.';
comment on column edge.schedules.jitter is 'By how much a run is put off at most.';
comment on column edge.schedules.dst is 'What becomes of times that a change of the clock skips or repeats: vixie, skip or literal.';
comment on column edge.schedules.starts_at is 'No slot before it; intervals are counted from it.';
comment on column edge.schedules.ends_at is 'No slot after it.';
comment on column edge.schedules.max_attempts is 'How often a run is tried; null is 3 for calls (or what the endpoint says), 1 for commands.';
comment on column edge.schedules.timeout is 'The limit of one attempt; null is the endpoint''s, or pg_edge.sql_job_timeout.';
comment on column edge.schedules.id is 'For edge.unschedule(id).';
comment on column edge.schedules.created_at is 'When it was said first.';
comment on column edge.schedules.updated_at is 'When it was said, paused, resumed or stopped last.';
comment on column edge.schedule_runs.schedule is 'The name of the schedule, also when it is gone.';
comment on column edge.schedule_runs.scheduled_for is 'The slot; of edge.run_now, when it was asked for.';
comment on column edge.schedule_runs.started_at is 'When the run began: its call was queued, or its command begun. Null for what did not begin.';
comment on column edge.schedule_runs.finished_at is 'When it ended, retries included.';
comment on column edge.schedule_runs.state is 'waiting, pending, running, retrying, or at its end succeeded, failed, cancelled, expired, truncated, or skipped.';
comment on column edge.schedule_runs.call_id is 'Its call: see edge.calls and edge.result. Null for commands.';
comment on column edge.schedule_runs.error is 'Why it failed, was cancelled or was skipped.';
comment on column edge.schedule_runs.lateness is 'How long after its slot it began; null for what somebody asked for.';
comment on column edge.schedule_runs.run_id is 'The number of the run, which edge.run_now gives for a command.';
comment on column edge.schedule_runs.origin is 'due, missed, run_now or backfill.';
comment on column edge.schedule_runs.attempts is 'How often a command was begun.';
comment on column edge.schedule_runs.rows is 'How many rows the last statement of a command returned or changed.';
comment on column edge.schedule_runs.sqlstate is 'The code of a command''s error.';
comment on column edge.schedule_runs.slots is 'How many slots in a row the row stands for; more than 1 only where they were skipped.';
comment on column edge.schedule_runs.owner is 'The role that it ran as.';
comment on column edge.all_schedules.source is 'pg_edge or pg_cron.';
comment on column edge.all_schedules.id is 'The number of the schedule, or of the job in pg_cron.';
comment on column edge.all_schedules.name is 'The name of the schedule or job.';
comment on column edge.all_schedules.schedule is 'When it runs, as it was written.';
comment on column edge.all_schedules.timezone is 'By whose clock; of pg_cron, cron.timezone.';
comment on column edge.all_schedules.active is 'Whether it runs.';
comment on column edge.all_schedules.target is 'The command, or the call.';
comment on column edge.all_schedules.database is 'Where it runs.';
comment on column edge.all_schedules.owner is 'The role that it runs as.';
comment on column edge.all_schedules.next_run_at is 'The slot that comes next. Null for pg_cron.';
comment on column edge.all_schedules.last_run_at is 'When the last run began. Null for pg_cron: see cron.job_run_details.';
comment on column edge.all_schedules.last_state is 'How the last run ended that has ended. Null for pg_cron: see cron.job_run_details.';

comment on function edge_store.schedule_description is 'A schedule in English, or null.';
comment on function edge_store.pg_cron_jobs is 'The jobs of pg_cron that the caller may see; none where it is not in this database.';
comment on function edge_store.wake_for_schedules is 'Tells the dispatcher that there are schedules which it may not know, at the commit.';
comment on function edge_store.schedules_came is 'Tells the dispatcher of schedules that a dump brought.';
comment on trigger wake on edge_store.schedule is 'Tells the dispatcher of schedules that a dump brought.';
comment on sequence edge_store.schedule_id is 'Numbers of schedules. Part of a dump.';
comment on sequence edge_store.run_id is 'Numbers of runs of schedules.';
comment on table edge_store.schedule is 'Schedules. Part of a dump.';
comment on table edge_store.schedule_run is 'What became of the slots of schedules that came due.';

comment on type edge.ws_message is 'A message that came or went over a websocket: its number, the websocket''s name, direction (out or in), kind (text, json or bytes), what it says, as JSON too where it is JSON that jsonb can hold, when it was queued or came, and what became of it.';

comment on function edge.ws_open is 'Has a websocket opened after the commit and kept open, through faults, restarts and fail-overs, until edge.ws_close. It belongs to the role, under its name; saying it again changes nothing, saying it otherwise changes it, and one that failed or was closed is opened again. With endpoint, url may be a path. headers may hold ${secret:NAME} as those of calls; on_message is a function (edge.ws_message) that is run for each message that comes; heartbeat is a text sent every pg_edge.ws_ping_interval; after max_age a new connection takes the place of the old one. Gives the websocket''s number. Errors: 22023, 42704, 42501, 42P13.';
comment on function edge.ws_send(text, jsonb) is 'Queues JSON to be sent as text over a websocket after the commit, never on rollback, in order. Sent again until the peer has taken it, also over later connections. Gives the message''s id. Errors: 42704 without such a websocket, 55000 where it has been closed, 53400 where pg_edge.ws_max_queued messages wait, 22023 for more than pg_edge.ws_max_message_bytes.';
comment on function edge.ws_send(text, text) is 'The same with text.';
comment on function edge.ws_send(text, bytea) is 'The same with bytes, as a binary message.';
comment on function edge.ws_reopen is 'Opens a websocket that was closed or has failed as it was last wanted, messages that still wait included; one that waits for its next try is tried now. It changes nothing of one that is open. Gives the websocket''s number. Errors: 42704.';
comment on function edge.ws_close(text, integer, text) is 'Has a websocket closed after the commit, with a code (1000, or 3000 to 4999) and a reason (at most 123 bytes). What was queued before is sent first, if the peer takes it within some seconds; what is left has failed. False where there is none of that name, or it has been closed. edge.ws_open opens it again.';
comment on function edge.ws_close(bigint, integer, text) is 'The same by the number of the websocket (id in edge.ws_connections); a superuser closes anybody''s.';
comment on view edge.ws_connections is 'Your websockets: as they are wanted, and how they are. Superusers and members of pg_monitor see all. Credentials in URLs and headers are hidden.';
comment on view edge.ws_messages is 'What was sent and what came over your websockets, one row each, in the order of their ids. Superusers see all, and members of pg_monitor those of others without data. Kept for pg_edge.retention.';

comment on column edge.ws_connections.name is 'Unique among the websockets of its owner.';
comment on column edge.ws_connections.state is 'connecting, open, waiting (for the next try), closing, closed (by edge.ws_close, or by the peer in good order), failed (last_error says why; edge.ws_open tries again).';
comment on column edge.ws_connections.url is 'Where to.';
comment on column edge.ws_connections.opened_at is 'Since when it is open.';
comment on column edge.ws_connections.last_error is 'Why it is not open. Null once it is.';
comment on column edge.ws_connections.close_code is 'With which the last connection was closed: by the peer, by edge.ws_close, or by the dispatcher where the peer broke the protocol. Null where it was just lost.';
comment on column edge.ws_connections.sent is 'How many messages the peer has taken.';
comment on column edge.ws_connections.received is 'How many messages have come.';
comment on column edge.ws_connections.reconnects is 'How often it was opened again.';
comment on column edge.ws_connections.id is 'Its number, as in edge.ws_messages and in notifications, and for edge.ws_close(id).';
comment on column edge.ws_connections.owner is 'The role that it belongs to, and that on_message runs as.';
comment on column edge.ws_connections.handshake_status is 'The status of an answer to the handshake that was no websocket.';
comment on column edge.ws_connections.close_reason is 'What was said with the close code.';
comment on column edge.ws_connections.subprotocol is 'The one that the peer chose. Shown to the owner and superusers.';
comment on column edge.ws_connections.next_try_at is 'When it is tried again, while it waits.';
comment on column edge.ws_connections.endpoint is 'Whose base, headers and certificate it is opened with.';
comment on column edge.ws_connections.queued is 'How many messages wait to be sent.';
comment on column edge.ws_connections.headers is 'Its own, beside the endpoint''s.';
comment on column edge.ws_connections.subprotocols is 'Those that are offered, most wanted first. Shown to the owner and superusers.';
comment on column edge.ws_connections.on_message is 'The function that each message is given to.';
comment on column edge.ws_connections.heartbeat is 'What is sent every pg_edge.ws_ping_interval. Shown to the owner and superusers.';
comment on column edge.ws_connections.max_age is 'How old a connection becomes before another one takes its place.';
comment on column edge.ws_connections.created_at is 'When it was opened first.';
comment on column edge.ws_connections.updated_at is 'When it was changed or closed last.';
comment on column edge.ws_messages.id is 'Messages of both directions are numbered together.';
comment on column edge.ws_messages.connection is 'The name of the websocket.';
comment on column edge.ws_messages.direction is 'out or in.';
comment on column edge.ws_messages.kind is 'text, json (text that was sent as jsonb) or bytes. Of what came, text or bytes.';
comment on column edge.ws_messages.data is 'What a text says. Null where text in this database cannot hold it: then it is in data_bytes.';
comment on column edge.ws_messages.data_bytes is 'What a binary message holds.';
comment on column edge.ws_messages.json is 'A text as JSON, or null where it is not JSON that jsonb can hold.';
comment on column edge.ws_messages.at is 'When it was queued, or when it came.';
comment on column edge.ws_messages.state is 'queued, sent (the peer has taken it), failed (it never will be sent), or received.';
comment on column edge.ws_messages.error is 'Why it was not sent, or what on_message raised.';
comment on column edge.ws_messages.connection_id is 'The number of the websocket.';
comment on column edge.ws_messages.owner is 'Whose it is.';
comment on column edge.ws_messages.sent_at is 'When the peer had taken it.';

comment on function edge_store.websocket_url is 'The URL of a websocket with the values of parameters that look like credentials hidden.';
comment on function edge_store.wake_for_sockets is 'Tells the dispatcher that there are websockets which it may not know, at the commit.';
comment on function edge_store.sockets_came is 'Tells the dispatcher of websockets that a dump brought.';
comment on trigger wake on edge_store.ws_connection is 'Tells the dispatcher of websockets that a dump brought.';
comment on sequence edge_store.ws_connection_id is 'Numbers of websockets. Part of a dump.';
comment on sequence edge_store.ws_message_id is 'Numbers of messages. CACHE must stay 1: the dispatcher''s cursor relies on it.';
comment on table edge_store.ws_connection is 'Websockets as they are wanted. Only sessions write it. Part of a dump.';
comment on table edge_store.ws_state is 'Websockets as they are. Only the dispatcher writes it.';
comment on table edge_store.ws_outgoing is 'Messages as queued. Append-only, cut into slots.';
comment on table edge_store.ws_incoming is 'Messages that came. Append-only, cut into slots.';
comment on table edge_store.ws_outcome is 'What became of messages. Append-only, cut into slots.';
comment on table edge_store.ws_handling is 'Messages that are to be given to a function.';

comment on function edge.webhook is 'For CREATE TRIGGER … AFTER INSERT OR UPDATE OR DELETE ON … FOR EACH ROW EXECUTE FUNCTION edge.webhook(function or URL, endpoint, options): has a call made of each row, with a body {type, table, schema, record, old_record}. The calls belong to the table''s owner; whoever writes needs no right. See docs/database-webhooks.md.';
comment on function edge.check_webhook(oid) is 'Raises what is wrong with a trigger that calls edge.webhook, by its oid in pg_trigger: its arguments, the columns and the on_complete function that they name, and the rights of the table''s owner. Warns of an endpoint or a secret that does not exist, of a URL that is not at its endpoint''s origin, and of rows that the trigger is not given. Done by itself when such a trigger is made.';
comment on function edge.check_webhook(regclass, name) is 'The same by the names of its table and of the trigger. Errors: 42704 where that table has no such trigger.';
comment on view edge.webhook_problems is 'What is wrong, as things are now, with the triggers that call edge.webhook, a row each: what edge.check_webhook would raise or warn of because calls or callbacks fail. Of tables whose owner''s rights you have; superusers and members of pg_monitor see all.';
comment on column edge.webhook_problems.relation is 'The table that the trigger was made for.';
comment on column edge.webhook_problems.trigger is 'The name of the trigger.';
comment on column edge.webhook_problems.problem is 'What is wrong, in a sentence.';
comment on column edge.webhook_problems.advice is 'What to do about it.';
comment on function edge_store.webhook_problems is 'What is wrong with one trigger that calls edge.webhook.';
comment on function edge_store.check_webhooks is 'Checks the triggers that a command has made, as far as they call edge.webhook.';
comment on event trigger pg_edge_check_webhooks is 'Checks triggers that call edge.webhook when they are made.';

comment on view edge.endpoints is 'The named endpoints. Credentials in headers are hidden; names of secrets are shown.';
comment on view edge.stat_endpoints is 'How endpoints are doing: calls on the wire and in memory, what became of attempts and calls since stats_reset, and what holds calls back: disabled, the breaker (open until open_until), the endpoint''s own Retry-After (parked_until), or its monthly quota, which is used up (held_until). Members of pg_monitor see the origins of bare URLs as well. In memory only.';
comment on column edge.stat_endpoints.last_error is 'What was wrong with the latest attempt that failed.';
comment on column edge.stat_endpoints.key_refused_since is 'Since when the platform behind it refuses the key: every call with this key fails.';
comment on view edge.problems is 'What is wrong in this database as far as the caller may see it, and what to do about it; no row where all is well. It looks at no more than the oldest and the newest of a queue, however long that is.';
comment on function edge.health is '{"ok": true, "problems": []}, or what edge.problems lists; or that the server was started without the library, in which case nothing else of pg_edge works.';

comment on view edge.usage is 'What the calls of each endpoint come to in each month (in UTC): calls that were tried, attempts, bytes sent and received, and how much of the endpoint''s monthly quota of attempts that is. Kept for 13 months; up to a second behind. Members of pg_monitor see the origins of bare URLs as well.';
comment on column edge.usage.endpoint is 'Its name; of a bare URL the origin, or where there are too many of them in a month, (other).';
comment on column edge.usage.month is 'The first day of the month, in UTC.';
comment on column edge.usage.calls is 'How many calls were tried.';
comment on column edge.usage.attempts is 'How often they were sent: what the quota counts.';
comment on column edge.usage.request_bytes is 'What was sent.';
comment on column edge.usage.response_bytes is 'What was received.';
comment on column edge.usage.quota is 'The endpoint''s monthly_quota as it is now, or null.';
comment on column edge.usage.used_fraction is 'attempts by quota: 1 is all of it.';
comment on table edge_store.usage is 'What the calls of each endpoint come to in each month. Only the dispatcher writes it.';

comment on function edge_store.endpoint_stats is 'The endpoints of this database, as its dispatcher last saw them.';
comment on function edge_store.redacted_headers is 'An endpoint''s headers with credentials hidden.';
comment on table edge_store.endpoint is 'Named endpoints. Part of a dump.';
comment on function edge.set_secret is 'Sets a secret: any text of 1 to 65536 bytes, stored encrypted. ${secret:NAME} in a header stands for it when a call is sent. A secret of the same name is replaced, for calls that wait already as well. Keeps its value out of the server log as far as Postgres allows: see docs/secrets.md. For superusers, and roles that were granted EXECUTE.';
comment on function edge.drop_secret is 'Removes a secret; true if there was one. Calls that need it fail with error_class secret.';
comment on function edge.rotate_secret_key is 'Adds a new key to the file of pg_edge.secret_key_file and encrypts all secrets of this database anew with it; tells how many. The old keys stay in the file.';

comment on view edge.secrets is 'Names of secrets, which key each is encrypted with, and when it was set first and last. Never values.';

comment on function edge_store.origin is 'The endpoint that a URL belongs to: its scheme, host and port (RFC 6454).';
comment on function edge_store.redacted_url is 'A URL with the values of parameters that look like credentials hidden.';
comment on function edge_store.current_role_oid is 'The role that the present statement runs as.';
comment on function edge_store.queued_per_role is 'How many calls of each role of this database have not ended, as counted in shared memory.';
comment on function edge_store.headers_json is 'Stored headers as a JSON object.';
comment on function edge_store.content_type is 'The content type among stored headers.';
comment on function edge_store.body_text is 'A body as text in the charset of its content type, or null.';
comment on function edge_store.body_json is 'A body as jsonb, or null.';
comment on function edge_store.register_database is 'The last step of CREATE EXTENSION: checks the encoding and asks for a dispatcher.';

comment on sequence edge_store.call_id is 'Numbers of calls. CACHE must stay 1: the dispatcher''s cursor relies on it.';
comment on table edge_store.request is 'Calls as queued. Append-only, cut into slots.';
comment on table edge_store.response is 'The end of each call. Append-only, cut into slots.';
comment on function edge_store.event_json is 'The data of an event as jsonb, or null.';
comment on table edge_store.job is 'Background jobs that have been delivered and have not ended.';
comment on table edge_store.refused_report is 'Reports on these jobs that came too late.';
comment on table edge_store.event is 'The events of streamed answers, small ones many to a row. Append-only, cut into slots.';
comment on view edge_store.single_event is 'The events of streamed answers, one row each.';
comment on table edge_store.stream is 'Answers that are being streamed. Only the dispatcher writes it.';
comment on table edge_store.attempt is 'Tries that were not the last. Append-only, cut into slots.';
comment on table edge_store.replay is 'Which call was replayed as which. Append-only, cut into slots.';
comment on table edge_store.callback_error is 'Errors of callbacks. Append-only, cut into slots.';
comment on table edge_store.ring is 'The slot that new rows go into.';
comment on table edge_store.deferred is 'Calls that wait for a time, or for room at their endpoint. Only the dispatcher writes it.';
comment on table edge_store.lease is 'Calls on the wire, a row a batch; the newest row carries the floor below which nothing is unknown.';
comment on table edge_store.late is 'Calls that ended after their slot was closed; retention carries them over.';
comment on table edge_store.cancellation is 'Calls that are to be cancelled.';
comment on table edge_store.idempotency is 'Idempotency keys in use.';
comment on table edge_store.callback is 'Callbacks that are to be run.';
comment on table edge_store.secret is 'Secrets, encrypted. Dumped by pg_dump; the key is not.';
comment on table edge_store.control is 'One row: who this database is, and what its dispatcher is told.';
comment on view edge_store.reader is 'Who reads, and whether all is his to read.';
comment on view edge_store.call is 'Every call with what is known of it.';
comment on view edge_store.dead_letter is 'Failed calls that have not been replayed.';
comment on function edge_store.dispatcher_state is 'What the dispatcher of this database is doing, without a look at the queue.';
