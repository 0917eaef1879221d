"""Tests of the search for an erased person's ids in the rows of a file."""

import pyarrow as pa
import pytest

from orchestration_dagster.lake.erase import _matches
from payment_pipeline.erasure.id_patterns import pattern
from support.mentions_of_jane import HERS, JANE, OTHERS


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()], ids=str)
def test_an_id_matches_in_text_and_bytes_and_a_longer_id_does_not(kind: pa.DataType) -> None:
    texts = [*HERS, *OTHERS]
    values = [text.encode() for text in texts] if kind == pa.binary() else texts
    batch = pa.record_batch({"number": range(len(texts)), "text": pa.array(values, kind)})
    found = _matches(batch, [pattern(JANE)]).to_pylist()
    assert [text for text, hers in zip(texts, found, strict=True) if hers] == list(HERS)


def test_an_id_matches_in_nested_columns() -> None:
    given = [["cus_john", "cus_jane"], ["cus_jane2"], [], None]
    found = _matches(pa.record_batch({"known": pa.array(given)}), [pattern(JANE)])
    assert found.to_pylist() == [True, False, False, False]
