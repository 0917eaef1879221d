"""Bodies and signatures for the fuzzer: changed copies of genuine ones."""

import json
from collections.abc import Iterable
from typing import Any, Final

from hypothesis import strategies as st

from support.pairs import Pair

EDITS_MAX: Final = 6
# Values that are known to break parsers, databases or arithmetic.
NUMBERS: Final = ("1e999", "-0", "1e-400", "0.1", "9" * 400, "-9223372036854775809", "NaN", "1E5")
TEXTS: Final = (
    *("", "\0", chr(0xD800), "\u202e", "\r\nx: y", "a" * 300, "null", "usd", "zzz", "USD", "é"),
    *("' OR 1=1 --", "{{7*7}}", "../../etc/passwd", "4242424242424242", "person@example.com"),
)
TOKENS: Final = (
    *(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"\\u0000", b"\\ud800"),
    *(b"[" * 2000, b'{"a":' * 600, b"{}", b"[]", b"null", b",", b":", b'"', b"1e999", b"-"),
    *(b'"id":"evt_x",', b'"object":"event",', b'"data":{"object":{}},', b'"created":1e18,'),
)

WEIRD: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 253_402_300_800, -1, 0]),
    st.floats(),
    st.text(max_size=300),
    st.sampled_from(TEXTS),
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    ),
)


def edited_json(pairs: list[Pair]) -> st.SearchStrategy[bytes]:
    """Generate genuine bodies with fields dropped, replaced, or taken from other bodies."""
    return _edited_json([json.loads(pair.body) for pair in pairs])


@st.composite
def _edited_json(draw: st.DrawFn, events: list[Any]) -> bytes:
    event = json.loads(json.dumps(draw(st.sampled_from(events))))
    for _ in range(draw(st.integers(1, EDITS_MAX))):
        found = paths(event)
        if not found:
            break
        *parents, last = draw(st.sampled_from(found))
        holder = event
        for key in parents:
            holder = holder[key]
        edit = draw(st.sampled_from(("drop", "replace", "number", "graft")))
        if edit == "drop":
            del holder[last]
        elif edit == "replace":
            holder[last] = draw(WEIRD)
        elif edit == "number":
            holder[last] = f"\1{draw(st.sampled_from(NUMBERS))}\1"
        else:
            holder[last] = json.loads(json.dumps(draw(st.sampled_from(events))))
    # Remove the quotes of the marked numbers, which no JSON writer would produce.
    return json.dumps(event).replace('"\\u0001', "").replace('\\u0001"', "").encode()


@st.composite
def edited_bytes(draw: st.DrawFn, pairs: list[Pair]) -> bytes:
    """Generate genuine bodies with bytes removed, doubled, flipped or inserted."""
    body = bytearray(draw(st.sampled_from(pairs)).body)
    for _ in range(draw(st.integers(1, EDITS_MAX))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 40)))
        edit = draw(st.sampled_from(("cut", "double", "flip", "insert")))
        if edit == "cut":
            del body[start:end]
        elif edit == "double":
            body[start:start] = body[start:end]
        elif edit == "flip" and start < len(body):
            body[start] ^= 1 << draw(st.integers(0, 7))
        else:
            body[start:start] = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)))
    return bytes(body)


def signatures(pair: Pair) -> st.SearchStrategy[str]:
    """Generate headers similar to the genuine one, and any text that HTTP can carry."""
    genuine = pair.signature
    parts = st.sampled_from([*genuine.split(","), "t=0", "v0=aa", "v1=", "=", "t=1,t=2", "v1=é"])
    return st.one_of(
        st.lists(parts, max_size=20).map(",".join),
        st.integers(0, len(genuine) - 1).map(lambda at: genuine[:at] + genuine[at + 1 :]),
        st.text(st.characters(max_codepoint=255), max_size=200),
        st.just(genuine.upper()),
    )


def paths(found: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a JSON document."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(found, dict):
        inner = found.items()
    elif isinstance(found, list):
        inner = enumerate(found)
    return [each for key, value in inner for each in ((*path, key), *paths(value, (*path, key)))]
