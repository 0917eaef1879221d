"""Which rows of a file of the lake hold one of an erased person's names?"""

import pyarrow as pa
import pytest

from orchestration_dagster.lake.erase import _matches
from payment_pipeline.erasure.mentions import pattern
from support.mentions_of_jane import HERS, JANE, OTHERS


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()], ids=str)
def test_in_text_and_bytes_the_id_and_no_longer_one(kind: pa.DataType) -> None:
    texts = [*HERS, *OTHERS]
    values = [text.encode() for text in texts] if kind == pa.binary() else texts
    batch = pa.record_batch({"number": range(len(texts)), "text": pa.array(values, kind)})
    found = _matches(batch, [pattern(JANE)]).to_pylist()
    assert [text for text, hers in zip(texts, found, strict=True) if hers] == list(HERS)


def test_in_what_is_nested_too() -> None:
    given = [["cus_john", "cus_jane"], ["cus_jane2"], [], None]
    found = _matches(pa.record_batch({"known": pa.array(given)}), [pattern(JANE)])
    assert found.to_pylist() == [True, False, False, False]
