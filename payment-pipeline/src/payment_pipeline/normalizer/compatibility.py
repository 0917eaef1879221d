"""Finds changes of a JSON Schema that break consumers of the published schema.

Both schemas must be written by pydantic. A break is described in words, with its path. It needs a
higher `schema_version`, by which consumers distinguish the two schemas. An addition breaks nothing:
consumers ignore fields, kinds and codes that they do not know (`docs/architecture.md`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

LOWER_BOUNDS: Final = ("minLength", "minimum", "exclusiveMinimum", "minItems")
UPPER_BOUNDS: Final = ("maxLength", "maximum", "exclusiveMaximum", "maxItems")


def unannounced_breaks(published: Schema, new: Schema) -> tuple[str, ...]:
    """Return all breaks; none if the new schema has a higher `schema_version`."""
    if schema_version(new) > schema_version(published):
        return ()
    return tuple(breaks(published, new))


def schema_version(root: Schema) -> int:
    """Return the `schema_version` of the messages; for a union, the lowest of its members."""
    members = [_resolve(member, root) for member in root.get("oneOf", (root,))]
    stated = [member["properties"]["schema_version"] for member in members]
    return min(int(field.get("const", field.get("default", 0))) for field in stated)


def breaks(published: Schema, new: Schema) -> Iterator[str]:
    """Yield each change in `new` that could break a consumer of `published`, with its path."""
    yield from _breaks(published, new, published, new, "")


def _breaks(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str
) -> Iterator[str]:
    before, after = _forms(old, old_root), _forms(new, new_root)
    at = path or "the message"
    types, left = _types(before.values()), _types(after.values())
    if narrower := types - left:
        yield f"{at} is no longer {' or '.join(sorted(narrower))}"
        return
    if types and (wider := left - types):
        yield f"{at} may be {' or '.join(sorted(wider))} now"
    for name in before.keys() - after.keys():
        yield f"{_join(path, name)} is gone"
    for name, form in before.items():
        if name in after:
            inner = _join(path, name) if "discriminator" in old else path
            yield from _form_breaks(form, after[name], old_root, new_root, inner)


def _form_breaks(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str
) -> Iterator[str]:
    at = path or "the message"
    values, left = _values(old), _values(new)
    if values and left and not values <= left:
        yield f"{at} no longer takes {', '.join(sorted(values - left))}"
    elif left and not values:
        yield f"{at} takes only {', '.join(sorted(left))}"
    yield from _tighter(old, new, at)
    yield from _properties(old, new, old_root, new_root, path)
    if "items" in old and "items" in new:
        yield from _breaks(old["items"], new["items"], old_root, new_root, f"{path}[]")


def _properties(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() - after.keys()):
        yield f"{_join(path, name)} is gone"
    promised, required = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(before.keys() & after.keys()):
        if name in promised - required:
            yield f"{_join(path, name)} may be missing now"
        if name in required - promised:
            yield f"{_join(path, name)} is now required"
        yield from _breaks(before[name], after[name], old_root, new_root, _join(path, name))


def _tighter(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for bound in LOWER_BOUNDS:
        if new.get(bound, float("-inf")) > old.get(bound, float("-inf")):
            yield f"{at} has a higher {bound}: {new[bound]}"
    for bound in UPPER_BOUNDS:
        if new.get(bound, float("inf")) < old.get(bound, float("inf")):
            yield f"{at} has a lower {bound}: {new[bound]}"
    for rule in ("pattern", "format"):
        if new.get(rule) != old.get(rule):
            yield f"{at} has another {rule}: {new.get(rule, 'none')}"


def _forms(schema: Schema, root: Schema) -> dict[str, Schema]:
    """Return a union's members by discriminator or type; any other schema is one member."""
    schema = _resolve(schema, root)
    mapping = schema.get("discriminator", {}).get("mapping")
    if mapping:
        return {name: _resolve({"$ref": target}, root) for name, target in mapping.items()}
    members = [_resolve(member, root) for member in schema.get("anyOf", (schema,))]
    return {str(member.get("type")): member for member in members}


def _types(forms: Iterable[Schema]) -> set[str]:
    """Return the JSON types that the forms allow."""
    return {form["type"] for form in forms if "type" in form}


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
