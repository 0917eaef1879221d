"""Would a consumer that was built on the published schema still read what the new one allows?

Compares two JSON Schemas as pydantic writes them. A break is told by its path, in words; it needs a
higher `schema_version`, by which consumers tell the two apart.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

LOWER_BOUNDS: Final = ("minLength", "minimum", "exclusiveMinimum", "minItems")
UPPER_BOUNDS: Final = ("maxLength", "maximum", "exclusiveMaximum", "maxItems")


def refused(published: Schema, new: Schema) -> tuple[str, ...]:
    """Every break that no raised `schema_version` announces; empty when the change may go out."""
    if schema_version(new) > schema_version(published):
        return ()
    return tuple(breaks(published, new))


def schema_version(root: Schema) -> int:
    """The version that the schema's messages carry; of a union the lowest of its members."""
    members = [_resolve(member, root) for member in root.get("oneOf", (root,))]
    stated = [member["properties"]["schema_version"] for member in members]
    return min(int(field.get("const", field.get("default", 0))) for field in stated)


def breaks(published: Schema, new: Schema) -> Iterator[str]:
    """What a consumer of `published` could stumble over in `new`, each with its path."""
    yield from _breaks(published, new, published, new, "")


def _breaks(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str
) -> Iterator[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    at = path or "the message"
    if narrower := _types(old, old_root) - _types(new, new_root):
        yield f"{at} is no longer {' or '.join(sorted(narrower))}"
    if gone := _values(old) - (_values(new) or _values(old)):
        yield f"{at} no longer takes {', '.join(sorted(gone))}"
    if _values(new) and not _values(old):
        yield f"{at} takes only {', '.join(sorted(_values(new)))}"
    yield from _tighter(old, new, at)
    yield from _properties(old, new, old_root, new_root, path)
    if "items" in old and "items" in new:
        yield from _breaks(old["items"], new["items"], old_root, new_root, f"{path}[]")
    yield from _members(old, new, old_root, new_root, path)


def _properties(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(set(before) - set(after)):
        yield f"{_join(path, name)} is gone"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{_join(path, name)} is now required"
    for name in sorted(set(before) & set(after)):
        yield from _breaks(before[name], after[name], old_root, new_root, _join(path, name))


def _members(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str
) -> Iterator[str]:
    """A union's members by name: a discriminator's value, or an optional part's one model."""
    before, after = _named(old, old_root), _named(new, new_root)
    for name in sorted(set(before) - set(after)):
        yield f"{_join(path, name)} is gone"
    for name in sorted(set(before) & set(after)):
        yield from _breaks(before[name], after[name], old_root, new_root, _join(path, name))


def _named(schema: Schema, root: Schema) -> dict[str, Schema]:
    mapping = schema.get("discriminator", {}).get("mapping")
    if mapping:
        return {name: _resolve({"$ref": ref}, root) for name, ref in mapping.items()}
    members = [member for member in schema.get("anyOf", ()) if member.get("type") != "null"]
    # Without a name there is nothing to match by but the place.
    return {f"<{place}>": member for place, member in enumerate(members)}


def _tighter(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for bound in LOWER_BOUNDS:
        if new.get(bound, float("-inf")) > old.get(bound, float("-inf")):
            yield f"{at} has a higher {bound}: {new[bound]}"
    for bound in UPPER_BOUNDS:
        if new.get(bound, float("inf")) < old.get(bound, float("inf")):
            yield f"{at} has a lower {bound}: {new[bound]}"
    for rule in ("pattern", "format"):
        if rule in new and new[rule] != old.get(rule):
            yield f"{at} has another {rule}: {new[rule]}"


def _types(schema: Schema, root: Schema) -> set[str]:
    """JSON's types that the schema lets through; empty when it doesn't say."""
    if "anyOf" in schema:
        return {each for member in schema["anyOf"] for each in _types(_resolve(member, root), root)}
    found = schema.get("type", ())
    return {found} if isinstance(found, str) else set(found)


def _values(schema: Schema) -> set[str]:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema.get("enum", ())}


def _resolve(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = root["$defs"][reference.removeprefix("#/$defs/")]
    return found


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
