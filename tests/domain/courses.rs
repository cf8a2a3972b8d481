//! What the platforms' pages suggest to do about each of their errors, for tests with and without a server.

use pg_edge::domain::profile::Platform;

/// What becomes of a call that may make five attempts and meets this every time: how many it makes, and after how many seconds the
/// second one. Written down from the platforms' pages, and not from the table.
pub const COURSES: [(Platform, u16, &str, u32, u64); 36] = [
    (Platform::Supabase, 401, "UNAUTHORIZED_NO_AUTH_HEADER", 1, 0),
    (Platform::Supabase, 401, "UNAUTHORIZED_ASYMMETRIC_JWT", 1, 0),
    (Platform::Supabase, 401, "UNAUTHORIZED_LEGACY_JWT", 1, 0),
    (Platform::Supabase, 401, "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM", 1, 0),
    (Platform::Supabase, 401, "UNAUTHORIZED_INVALID_JWT_FORMAT", 1, 0),
    (Platform::Supabase, 404, "NOT_FOUND", 1, 0),
    (Platform::Supabase, 404, "NOT_FOUND_FUNCTION_BLOB", 1, 0),
    (Platform::Supabase, 405, "", 1, 0),
    (Platform::Supabase, 400, "INVALID_URL", 1, 0),
    (Platform::Supabase, 429, "RATE_LIMIT_EXCEEDED", 5, 1),
    (Platform::Supabase, 500, "WORKER_ERROR", 5, 1),
    (Platform::Supabase, 500, "EDGE_FUNCTION_ERROR", 5, 1),
    (Platform::Supabase, 500, "INVALID_RESPONSE_STATUS_CODE", 1, 0),
    (Platform::Supabase, 503, "BOOT_ERROR", 2, 1),
    (Platform::Supabase, 500, "LOAD_FUNCTION_ERROR", 5, 10),
    (Platform::Supabase, 500, "LOAD_FUNCTION_METADATA_ERROR", 5, 120),
    (Platform::Supabase, 500, "LOAD_FUNCTION_INVALID_ENTRYPOINT_PATH_ERROR", 1, 0),
    (Platform::Supabase, 500, "LOAD_FUNCTION_UNBUNDLING_ERROR", 1, 0),
    (Platform::Supabase, 504, "IDLE_TIMEOUT", 2, 1),
    (Platform::Supabase, 546, "WORKER_LIMIT", 1, 0),
    (Platform::Supabase, 546, "WORKER_RESOURCE_LIMIT", 1, 0),
    (Platform::Supabase, 546, "", 1, 0),
    (Platform::Supabase, 502, "x-relay-error", 5, 1),
    (Platform::Cloudflare, 500, "1101", 5, 1),
    (Platform::Cloudflare, 503, "1102", 2, 1),
    (Platform::Cloudflare, 429, "1015", 5, 1),
    (Platform::Cloudflare, 530, "1019", 1, 0),
    (Platform::Cloudflare, 530, "1021", 1, 0),
    (Platform::Cloudflare, 530, "1022", 5, 1),
    (Platform::Cloudflare, 429, "1027", 5, 3600),
    (Platform::Cloudflare, 530, "1042", 1, 0),
    (Platform::Cloudflare, 520, "", 5, 1),
    (Platform::Cloudflare, 521, "", 5, 1),
    (Platform::Cloudflare, 522, "", 5, 1),
    (Platform::Cloudflare, 523, "", 5, 1),
    (Platform::Cloudflare, 524, "", 5, 1),
];
