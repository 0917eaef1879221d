"""A JSON patch repairs a body, always to the same bytes, and quotes no body."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.dlq import json_patch as patches
from payment_pipeline.dlq.json_patch import NotPatched
from payment_pipeline.domain.failures import UserError

CURRENCY = '[{"op": "replace", "path": "/currency", "value": "eur"}]'
SECRET = "jenny.rosen@example.com"


def patched(operations: list[dict[str, Any]], body: bytes) -> bytes | NotPatched:
    return patches.apply(patches.parse(json.dumps(operations)), body)


def test_a_value_is_replaced_and_the_rest_stays_in_its_order() -> None:
    body = '{"b": 1, "currency": "xqq", "a": "ä"}'.encode()
    assert patches.apply(patches.parse(CURRENCY), body) == b'{"b":1,"currency":"eur","a":"\\u00e4"}'


@pytest.mark.parametrize(
    "body",
    [b'{"amount": NaN}', b'{"amount": 1e999}', b'{"amount": "\\ud800"}', b'{"amount": 1%s}'],
    ids=["nan", "infinite", "lone surrogate", "digits"],
)
def test_what_the_pipelines_parser_refuses_can_be_mended(body: bytes) -> None:
    body = body.replace(b"%s", b"0" * 4_000)
    mended = patched([{"op": "replace", "path": "/amount", "value": 5}], body)
    assert mended == b'{"amount":5}'


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[" * 100_000, b"", b"9" * 10_000], ids=lambda body: repr(body[:4])
)
def test_what_is_no_json_is_not_patched(body: bytes) -> None:
    assert isinstance(patches.apply(patches.parse(CURRENCY), body), NotPatched)


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "replace", "path": "/missing", "value": 1}],
        [{"op": "remove", "path": "/list/9"}],
        [{"op": "test", "path": "/email", "value": "somebody else"}],
        [{"op": "add", "path": "/email/deeper", "value": 1}],
        [{"op": "move", "from": "/missing", "path": "/email"}],
        [{"op": "remove", "path": ""}],
    ],
    ids=lambda operations: operations[0]["op"],
)
def test_a_misfit_is_told_without_the_bodys_values(operations: list[dict[str, Any]]) -> None:
    body = json.dumps({"email": SECRET, "list": [SECRET], "other": float("nan")}).encode()
    answer = patched(operations, body)
    assert isinstance(answer, NotPatched)
    assert SECRET not in answer.reason


def test_a_patch_that_leaves_no_json_is_told() -> None:
    answer = patched([{"op": "add", "path": "/a", "value": 1}], b'{"amount": NaN}')
    assert answer == NotPatched("the patched document is not JSON")


def test_a_misfit_names_the_patchs_own_path() -> None:
    answer = patched([{"op": "replace", "path": "/data/amount", "value": 1}], b'{"data": {}}')
    assert answer == NotPatched("the patch does not fit: /data/amount can't be reached")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "no json",
        "[1]",
        '[{"op": "explode", "path": "/a"}]',
        '[{"op": "add", "path": "a", "value": 1}]',
        json.dumps([{"op": "remove", "path": "/a"}] * (patches.OPERATIONS_MAX + 1)),
    ],
)
def test_what_is_no_patch_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"\.$"):
        patches.parse(text)


def test_a_patch_is_read_from_the_line_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "patch.json"
    file.write_text(CURRENCY)
    for given_ in (CURRENCY, f"  {CURRENCY}", str(file)):
        assert patches.operations(patches.read(given_)) == json.loads(CURRENCY)
    with pytest.raises(UserError, match="No such file"):
        patches.read(str(tmp_path / "missing.json"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_a_patch_twice_gives_the_same_bytes(document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    patch = [{"op": "add", "path": "/currency", "value": "eur"}]
    once = patched(patch, body)
    assert isinstance(once, bytes)
    assert once == patched(patch, body) == patched(patch, once)
