//! The settings that are texts. What they hold is checked when it is set, so that a typing error is told there and then.

use std::ffi::{CStr, CString, c_char, c_void};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;

use super::checks::{AbsoluteOrEmpty, Authorities, Check, Hosts, Networks, NotEmpty, Version};

/// One text setting, and what may stand in it.
struct Setting {
    name: &'static CStr,
    summary: &'static CStr,
    detail: &'static CStr,
    value: &'static GucSetting<Option<CString>>,
    check: pg_sys::GucStringCheckHook,
}

macro_rules! settings {
    ($($static:ident: $check:ty = $default:literal, $name:literal, $summary:literal, $detail:literal;)*) => {
        $(pub(super) static $static: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some($default));)*
        const TABLE: &[Setting] = &[$(Setting {
            name: $name, summary: $summary, detail: $detail, value: &$static, check: Some(hook::<$check>),
        },)*];
    };
}

settings! {
    ALLOWED_NETWORKS: Networks = c"", c"pg_edge.allowed_networks",
        c"Networks and addresses that calls may go to although they are not public.",
        c"Separated by commas, such as 10.1.0.0/16, ::1. All other special addresses are refused.";
    ALLOWED_HOSTS: Hosts = c"", c"pg_edge.allowed_hosts",
        c"Hosts that calls may go to whatever their addresses.",
        c"Separated by commas; *.example.com stands for all names below example.com.";
    DENIED_HOSTS: Hosts = c"", c"pg_edge.denied_hosts",
        c"Hosts that calls may not go to, whatever else is allowed.",
        c"Separated by commas; *.example.com stands for all names below example.com.";
    CA_FILE: Authorities = c"", c"pg_edge.ca_file",
        c"A file with certificate authorities in PEM form that are trusted beside the system's.",
        c"Read when the dispatcher starts and on reload. A relative path begins in the data directory.";
    TLS_MIN_VERSION: Version = c"1.2", c"pg_edge.tls_min_version",
        c"The oldest version of TLS that is spoken, 1.2 or 1.3.",
        c"";
    SECRET_KEY_FILE: NotEmpty = c"pg_edge.key", c"pg_edge.secret_key_file",
        c"The file that holds the keys with which secrets are encrypted.",
        c"A relative path starts at the data directory. It is made where it is missing.";
    SECRETS_DIRECTORY: AbsoluteOrEmpty = c"", c"pg_edge.secrets_directory",
        c"The directory whose files ${file:NAME} stands for.",
        c"Empty refuses such placeholders.";
}

/// Makes them known to Postgres.
#[allow(unsafe_code, reason = "a check hook is a C function")]
pub(super) fn register() {
    for setting in TABLE {
        // SAFETY: called from _PG_init on the main thread; the hook raises nothing and catches its panics.
        unsafe {
            GucRegistry::define_string_guc_with_hooks(
                setting.name,
                setting.summary,
                setting.detail,
                setting.value,
                GucContext::Sighup,
                GucFlags::SUPERUSER_ONLY,
                setting.check,
                None,
                None,
            );
        }
    }
}

/// The text of a setting; empty where none is set.
pub(super) fn read(setting: &GucSetting<Option<CString>>) -> String {
    setting.get().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Postgres' question whether a new value will do.
#[allow(unsafe_code, reason = "a check hook is a C function")]
#[allow(clippy::disallowed_methods, reason = "nothing of Postgres runs inside, so there is no error of its to catch")]
unsafe extern "C-unwind" fn hook<C: Check>(
    new: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: Postgres passes a valid pointer to a string, or to a null where nothing is set.
    let text = unsafe { (*new).as_ref().map(|first| CStr::from_ptr(first).to_string_lossy().into_owned()) };
    let checked = std::panic::catch_unwind(|| C::check(&text.unwrap_or_default()));
    let reason = match checked {
        Ok(Ok(())) => return true,
        Ok(Err(reason)) => CString::new(reason).unwrap_or_default(),
        Err(_panic) => CString::default(),
    };
    // SAFETY: main thread; this is what the macro GUC_check_errdetail does. The copy lives until the error is reported.
    unsafe {
        pg_sys::GUC_check_errdetail_string = pg_sys::MemoryContextStrdup(pg_sys::ErrorContext, reason.as_ptr());
    }
    false
}
