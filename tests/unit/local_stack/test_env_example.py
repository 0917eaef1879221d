"""Tests that `.env.example` shows every setting, with its default and a comment."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings, signing_name
from support.repository import ROOT

EXAMPLE = ROOT / ".env.example"
LINE = re.compile(r"^# (?P<says>.+)\n#PAYMENTS_(?P<name>[A-Z_0-9]+)=(?P<value>.*)$", re.MULTILINE)
shown = {match["name"].lower(): match["value"] for match in LINE.finditer(EXAMPLE.read_text())}


def test_shows_every_setting_and_no_other() -> None:
    signing = {signing_name(name) for name in providers()}
    assert set(shown) == (set(Settings.model_fields) - {"webhook_secrets"}) | signing
    assert EXAMPLE.read_text().count("#PAYMENTS_") == len(shown), "a line has no comment above it"


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"webhook_secrets"}))
def test_shows_the_default(name: str) -> None:
    field = Settings.model_fields[name]
    default = field.get_default()
    if default is None:
        assert shown[name] == ""
        return
    uncommented = Settings.model_validate({name: shown[name]})
    value = getattr(uncommented, name)
    assert not isinstance(value, SecretStr), "a secret has no default"
    if isinstance(value, Path) and value.parts[0] != "~":
        value = ROOT / value
    assert value == default
