"""Does the native stack come up, stay up and go away?"""

import psycopg
import pytest
from payment_pipeline.settings import Settings

pytestmark = pytest.mark.stack


def test_stores_answer(stores: Settings) -> None:
    with psycopg.connect(stores.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM payment_events").fetchone() == (0,)
