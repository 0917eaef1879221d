"""Superset's configuration. Values that differ between deployments are environment variables.

`SUPERSET_SECRET_KEY` signs sessions. It has no default: Superset does not start without it.
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask, Response
    from sqlalchemy.engine import URL

HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ.get(
    "SUPERSET_METADATA_URI", f"sqlite:///{HOME / 'superset.db'}?timeout=30"
)


def trino_password(url: "URL") -> str | None:
    """The password of the connection to the marts. Another address gets no password.

    The file has the address and the password, if there is one. The metadata has none.
    """
    file = HOME / "trino_login"
    address, _, password = (file.read_text() if file.exists() else "").partition("\n")
    return password if password and address == f"{url.host}:{url.port}" else None


SQLALCHEMY_CUSTOM_PASSWORD_STORE = trino_password

# The marts change only when dbt runs, so results can be cached for as long as a run takes.
CACHE_S = 60
DATA_CACHE_CONFIG = {
    "CACHE_TYPE": "FileSystemCache",
    "CACHE_DIR": str(HOME / "cache"),
    "CACHE_DEFAULT_TIMEOUT": CACHE_S,
    "CACHE_THRESHOLD": 2000,
}
FILTER_STATE_CACHE_CONFIG = DATA_CACHE_CONFIG | {"CACHE_DEFAULT_TIMEOUT": 90 * 24 * 3600}
EXPLORE_FORM_DATA_CACHE_CONFIG = FILTER_STATE_CACHE_CONFIG

# Superset computes "now" and "today" in the server's time zone. The marts are in UTC.
os.environ["TZ"] = "UTC"
time.tzset()
# "Last day" ends now, not at midnight.
DEFAULT_RELATIVE_END_TIME = "now"

ROW_LIMIT = 10_000
SUPERSET_WEBSERVER_TIMEOUT = 120
SQLLAB_TIMEOUT = 60

# Loopback uses plain HTTP. Behind TLS, browsers send the cookie over TLS only.
SESSION_COOKIE_SECURE = os.environ.get("SUPERSET_TLS", "") == "1"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False

# A page loads nothing from another server. Superset's default allows map tiles, fonts, and an image
# that counts visits.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "default-src": ["'self'"],
        "base-uri": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": ["'none'"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "frame_options": "DENY",
    "force_https": False,
    "session_cookie_secure": SESSION_COOKIE_SECURE,
}
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []
# Superset's default lets the page of a map server read the answers.
ENABLE_CORS = False

# Failed logins from one address, over all ways to log in together. Later ones get the answer 429,
# even with the right password. The counts are in the memory of the one server process.
FAILED_LOGINS_MAX = "10 per minute; 60 per hour"
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://"
# Without these lines, Superset would limit all requests together, and its old login page alone.
RATELIMIT_APPLICATION = None
AUTH_RATE_LIMITED = False

HOME_PAGE = LOGO_TARGET_PATH = "/superset/dashboard/payments/"
WELCOME_PAGES = ("/", "/superset/welcome/")


def FLASK_APP_MUTATOR(app: "Flask") -> None:  # noqa: N802 - the name that Superset reads
    """Limits failed logins, and makes the Payments dashboard the home page of every user."""
    from flask import redirect, request

    logins = {
        rule.endpoint.partition(".")[0]
        for rule in app.url_map.iter_rules()
        if rule.endpoint.endswith(".login") and "POST" in rule.methods
    }
    limited = app.appbuilder.sm.limiter.shared_limit(
        FAILED_LOGINS_MAX, scope="login", methods=["POST"], deduct_when=_login_failed
    )
    for name in logins:
        limited(app.blueprints[name])

    @app.before_request
    def home() -> Any:  # noqa: ANN401 - Flask's views return many types
        return redirect(HOME_PAGE) if request.path in WELCOME_PAGES else None


def _login_failed(answer: "Response") -> bool:
    """Whether a login was refused: by a status of the API, or by the way back to the form."""
    return answer.status_code == 401 or "/login" in (answer.location or "")


# Metrics and filters are plain expressions. Templates could run code.
FEATURE_FLAGS = {"ENABLE_TEMPLATE_PROCESSING": False, "DASHBOARD_RBAC": False}
