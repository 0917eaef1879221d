"""Superset's configuration. Values that differ between deployments are environment variables.

`SUPERSET_SECRET_KEY` signs sessions. It has no default: Superset does not start without it.
"""

import os
import time
from pathlib import Path

HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ.get(
    "SUPERSET_METADATA_URI", f"sqlite:///{HOME / 'superset.db'}?timeout=30"
)

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
TALISMAN_ENABLED = True
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False

# Metrics and filters are plain expressions. Templates could run code.
FEATURE_FLAGS = {"ENABLE_TEMPLATE_PROCESSING": False, "DASHBOARD_RBAC": False}
