"""The published contracts match the types, and real messages match the contracts."""

import copy
import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.failures import UserError
from payment_pipeline.normalizer import contracts
from payment_pipeline.normalizer.step import step
from payment_pipeline.providers import providers
from payment_pipeline.providers.reader import FAULTS_MAX
from payment_pipeline.providers.stripe.normalize import ERRORS_MAX
from support.pairs import CONTEXT, Pair, pairs, raw_event
from support.repository import ROOT
from support.stripe_bodies import body, example


def published(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((ROOT / contracts.FOLDER / name).read_text())


def test_the_published_contracts_are_up_to_date() -> None:
    contracts.check(ROOT / contracts.FOLDER)


@pytest.mark.parametrize("name", contracts.documents())
def test_consumers_of_every_published_version_can_read_todays_messages(name: str) -> None:
    """Compare with every version in git, so that a deleted or edited contract is compared too."""
    at = f"{contracts.FOLDER}/{name}"
    versions = _git("log", "--format=%H", "--diff-filter=AM", "--", at).split()
    if not versions:
        pytest.skip("no git history: a copy of the files, or a shallow clone")
    for version in versions:
        before = json.loads(_git("show", f"{version}:{at}"))
        assert contracts.breaking_changes(name, before, contracts.documents()[name]) == (), version


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


def test_a_missing_topic_is_a_break() -> None:
    today = contracts.documents()[contracts.ASYNCAPI_FILE]
    fewer = {**today, "channels": {topics.NORMALIZED: {}}}
    assert "payments.unmodelled is gone" in contracts.breaking_changes(
        contracts.ASYNCAPI_FILE, today, fewer
    )


def test_a_header_that_is_missing_or_no_longer_certain_is_a_break() -> None:
    today = contracts.documents()[contracts.ASYNCAPI_FILE]
    fewer = copy.deepcopy(today)
    headers = fewer["components"]["messages"]["RawWebhook"]["headers"]
    del headers["properties"][names.CE_ID]
    headers["required"] = [
        name for name in headers["required"] if name not in (names.CE_ID, names.VERDICT)
    ]
    said = contracts.breaking_changes(contracts.ASYNCAPI_FILE, today, fewer)
    assert f"RawWebhook's header {names.CE_ID} is gone" in said
    assert f"RawWebhook's header {names.VERDICT} may be missing now" in said


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_the_message_of_every_fixture_matches_the_contract(pair: Pair) -> None:
    raw = raw_event(pair.body, pair.provider)
    result = step(raw, (), providers()[pair.provider], CONTEXT, datetime.now(UTC))
    schema = Draft202012Validator(published(contracts.PAYMENT_EVENT_FILE))
    schema.validate(json.loads(result.message.value))


def test_a_dead_letter_matches_the_contract() -> None:
    raw = raw_event(body("charge.succeeded", example("charge", amount="1")))
    result = step(raw, (), providers()["stripe"], CONTEXT, datetime.now(UTC))
    schema = Draft202012Validator(published(contracts.BAD_RECORD_FILE))
    schema.validate(json.loads(result.message.value))
    assert not schema.is_valid({"failure": "bad luck"})


def test_the_contract_of_a_dead_letter_names_the_maximum_of_errors() -> None:
    errors = published(contracts.BAD_RECORD_FILE)["properties"]["errors"]
    assert re.findall(r"\d+", errors["description"])[:2] == [str(FAULTS_MAX), str(ERRORS_MAX)]


def test_every_topic_has_a_channel_and_every_reference_a_target() -> None:
    document = published(contracts.ASYNCAPI_FILE)
    raw = {
        topics.raw(provider.name, resource)
        for provider in providers().values()
        for resource in provider.resources
    }
    assert {each["address"] for each in document["channels"].values()} == {*raw, *topics.PIPELINE}
    for reference in _references(document):
        if reference.startswith("./"):
            assert (ROOT / contracts.FOLDER / reference).exists()
            continue
        found = document
        for key in reference.removeprefix("#/").split("/"):
            found = found[key.replace("~1", "/").replace("~0", "~")]


def test_all_messages_have_a_key_except_unreadable_webhooks() -> None:
    messages = published(contracts.ASYNCAPI_FILE)["components"]["messages"]
    unkeyed = {name for name, message in messages.items() if "bindings" not in message}
    assert unkeyed == {"UnreadableWebhook"}


def test_stale_contracts_are_named_in_an_error_and_then_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"asyncapi\.json"):
        contracts.check(tmp_path)
    assert set(contracts.write(tmp_path)) == set(contracts.documents())
    contracts.check(tmp_path)
    assert contracts.write(tmp_path) == ()


def test_a_change_that_breaks_consumers_is_not_written(tmp_path: Path) -> None:
    contracts.write(tmp_path)
    path = tmp_path / contracts.BAD_RECORD_FILE
    schema = json.loads(path.read_text())
    schema["properties"]["once_promised"] = {"type": "string"}
    path.write_text(json.dumps(schema))
    before = path.read_text()

    with pytest.raises(UserError, match="once_promised is gone") as refused:
        contracts.write(tmp_path)
    assert refused.value.exit_code == 1
    assert path.read_text() == before


def _references(found: object) -> list[str]:
    if isinstance(found, dict):
        here = [found["$ref"]] if isinstance(found.get("$ref"), str) else []
        return here + [each for value in found.values() for each in _references(value)]
    if isinstance(found, list):
        return [each for value in found for each in _references(value)]
    return []
