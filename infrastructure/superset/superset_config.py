"""How does Superset run here? Everything that differs between places comes from the environment.

`SUPERSET_SECRET_KEY` signs sessions and has no default: without it Superset must not start.
"""

import os
import time
from pathlib import Path

HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ.get(
    "SUPERSET_METADATA_URI", f"sqlite:///{HOME / 'superset.db'}?timeout=30"
)

# Marts change when dbt has run; until then the same question has the same answer.
CACHE_S = 60
DATA_CACHE_CONFIG = {
    "CACHE_TYPE": "FileSystemCache",
    "CACHE_DIR": str(HOME / "cache"),
    "CACHE_DEFAULT_TIMEOUT": CACHE_S,
    "CACHE_THRESHOLD": 2000,
}
FILTER_STATE_CACHE_CONFIG = DATA_CACHE_CONFIG | {"CACHE_DEFAULT_TIMEOUT": 90 * 24 * 3600}
EXPLORE_FORM_DATA_CACHE_CONFIG = FILTER_STATE_CACHE_CONFIG

# Superset takes the server's clock for "now" and "today", and the marts are in UTC.
os.environ["TZ"] = "UTC"
time.tzset()
# "Last day" ends now, not at midnight.
DEFAULT_RELATIVE_END_TIME = "now"

ROW_LIMIT = 10_000
SUPERSET_WEBSERVER_TIMEOUT = 120
SQLLAB_TIMEOUT = 60

# Loopback speaks plain HTTP; behind TLS the cookie goes over TLS only.
SESSION_COOKIE_SECURE = os.environ.get("SUPERSET_TLS", "") == "1"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
TALISMAN_ENABLED = True
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False

# A metric or a filter is an expression, never a template that could run code.
FEATURE_FLAGS = {"ENABLE_TEMPLATE_PROCESSING": False, "DASHBOARD_RBAC": False}
