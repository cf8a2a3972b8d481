//! What happens when Postgres loads the library.

use pgrx::prelude::*;

use crate::error::Error;
use crate::{conceal, guc, worker};

// The two schemas are made by sql/schema.sql, which fails loudly where one exists already; pgrx wants to know of them.
#[pg_schema]
mod edge {}
#[pg_schema]
mod edge_store {}

pgrx::extension_sql_file!("../sql/schema.sql", name = "schema", bootstrap);
pgrx::extension_sql_file!("../sql/jobs.sql", name = "jobs", requires = ["schema"]);
pgrx::extension_sql_file!(
    "../sql/views.sql",
    name = "views",
    requires = [
        "jobs",
        api::control::queued_per_role,
        api::views::origin,
        api::views::redacted_url,
        api::views::current_role_oid
    ]
);
pgrx::extension_sql_file!("../sql/jobs_view.sql", name = "jobs_view", requires = ["views"]);
pgrx::extension_sql_file!("../sql/streams.sql", name = "streams", requires = ["views", api::views::event_json]);
pgrx::extension_sql_file!(
    "../sql/endpoints.sql",
    name = "endpoints",
    requires = ["schema", api::views::redacted_headers, api::stats::endpoint_stats]
);
pgrx::extension_sql_file!("../sql/pg_cron.sql", name = "pg_cron", requires = ["schema"]);
pgrx::extension_sql_file!(
    "../sql/schedules.sql",
    name = "schedules",
    requires = ["views", "pg_cron", api::schedules::wake_for_schedules, api::views::schedule_description]
);
pgrx::extension_sql_file!(
    "../sql/websockets.sql",
    name = "websockets",
    requires = [
        "views",
        api::sockets::open::wake_for_sockets,
        api::views::websocket_url,
        api::views::redacted_headers,
        api::views::event_json
    ]
);
pgrx::extension_sql_file!(
    "../sql/health/backlog.sql",
    name = "health_backlog",
    requires = ["views", api::control::dispatcher_state, api::stats::endpoint_stats]
);
pgrx::extension_sql_file!("../sql/health/dispatcher.sql", name = "health_dispatcher", requires = ["health_backlog"]);
pgrx::extension_sql_file!("../sql/health/endpoints.sql", name = "health_endpoints", requires = ["endpoints", "usage"]);
pgrx::extension_sql_file!("../sql/health/calls.sql", name = "health_calls", requires = ["views"]);
pgrx::extension_sql_file!(
    "../sql/health/standing.sql",
    name = "health_standing",
    requires = ["schedules", "websockets"]
);
pgrx::extension_sql_file!(
    "../sql/health.sql",
    name = "health",
    requires =
        ["health_backlog", "health_dispatcher", "health_endpoints", "health_calls", "health_standing", "webhook"]
);
pgrx::extension_sql_file!("../sql/usage.sql", name = "usage", requires = ["views"]);
pgrx::extension_sql_file!(
    "../sql/webhook.sql",
    name = "webhook",
    requires = ["schema", api::webhook::check::check_webhook, api::webhook::check::webhook_problems]
);
pgrx::extension_sql_file!(
    "../sql/access.sql",
    name = "access",
    requires = [
        "views",
        "jobs_view",
        "streams",
        "endpoints",
        "health",
        "schedules",
        "websockets",
        "webhook",
        "usage",
        api::batch::invoke_batch,
        api::control::pause,
        api::control::resume,
        api::control::register_database,
        api::control::worker_status,
        api::endpoints::alter_endpoint,
        api::endpoints::create_endpoint,
        api::endpoints::disable_endpoint,
        api::endpoints::drop_endpoint,
        api::endpoints::enable_endpoint,
        api::http::http_async,
        api::http::http_delete_async,
        api::http::http_get_async,
        api::http::http_patch_async,
        api::http::http_post_async,
        api::http::http_put_async,
        api::schedules::import::import_pg_cron,
        api::invoke::invoke,
        api::jobs::job,
        api::jobs::reports::complete,
        api::jobs::reports::fail,
        api::jobs::reports::heartbeat,
        api::outcome::cancel,
        api::outcome::replay,
        api::outcome::replay_dead,
        api::outcome::result,
        api::outcome::status,
        api::outcome::wait,
        api::retry_policy::retry_policy,
        api::schedules::control::pause_schedule,
        api::schedules::control::resume_schedule,
        api::schedules::control::unschedule,
        api::schedules::control::unschedule_by_id,
        api::schedules::preview::describe_schedule,
        api::schedules::preview::next_runs,
        api::schedules::runs::backfill,
        api::schedules::runs::run_now,
        api::schedules::schedule,
        api::schedules::schedule_http,
        api::schedules::schedule_invoke,
        api::secrets::drop_secret,
        api::secrets::rotate_secret_key,
        api::secrets::set_secret,
        api::sockets::close::ws_close,
        api::sockets::close::ws_close_by_id,
        api::sockets::open::ws_open,
        api::sockets::reopen::ws_reopen,
        api::sockets::send::ws_send_bytes,
        api::sockets::send::ws_send_json,
        api::sockets::send::ws_send_text,
        api::streams::poll,
        api::streams::stream_text,
        api::streams::tail,
        api::streams::tail_text,
        api::views::body_json,
        api::views::body_text,
        api::views::content_type,
        api::views::headers_json
    ]
);
pgrx::extension_sql_file!("../sql/comments.sql", name = "comments", requires = ["access"], finalize);

/// Called once: in the postmaster when preloaded, in a backend when somebody forgot to preload.
#[pg_guard]
#[allow(unsafe_code, reason = "the symbol's name is Postgres' contract")]
pub extern "C-unwind" fn _PG_init() {
    if in_binary_upgrade() {
        // pg_upgrade loads every library to see that it exists; nothing may start there.
        return;
    }
    if !preloading() {
        Error::NotPreloaded.raise();
    }
    guc::register();
    worker::register();
    conceal::register();
}

#[allow(unsafe_code, reason = "two flags of Postgres are read")]
fn in_binary_upgrade() -> bool {
    // SAFETY: a plain flag, set before any library is loaded and never changed; read on the main thread.
    unsafe { pg_sys::IsBinaryUpgrade }
}

#[allow(unsafe_code, reason = "two flags of Postgres are read")]
fn preloading() -> bool {
    // SAFETY: a plain flag of the process, read on its main thread.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}
