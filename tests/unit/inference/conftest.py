"""Shared fixtures: a small history and the models trained on it, made once per run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from payment_pipeline.inference import scoring_engine
from payment_pipeline.inference.model_card import Card
from payment_pipeline.inference.simulated_year import simulated
from payment_pipeline.inference.training import train
from payment_pipeline.inference.training_dataset import History, replay
from payment_pipeline.settings import Settings

SEED = 11
TOKEN = SecretStr("a token with enough characters")
CUSTOMERS = 800
"""Few enough for seconds, and enough for every model to have outcomes in each span."""


@pytest.fixture(scope="session")
def history() -> History:
    return replay("a test's year", simulated(SEED, CUSTOMERS))


@pytest.fixture(scope="session")
def train_again() -> Callable[[Settings], None]:
    """Trains as `trained` was."""

    def train_into(settings: Settings) -> None:
        train(settings, lambda _: None, seed=SEED, customers=CUSTOMERS)

    return train_into


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, train_again: Callable[[Settings], None]
) -> Settings:
    """Settings of a folder that has every model, trained."""
    settings = Settings(var=tmp_path_factory.mktemp("trained"), inference_token=TOKEN)
    train_again(settings)
    return settings


@pytest.fixture(scope="session")
def loaded(trained: Settings) -> scoring_engine.Engine:
    return scoring_engine.load(trained)


@pytest.fixture(scope="session")
def cards(loaded: scoring_engine.Engine) -> dict[str, Card]:
    return {card.model: card for card in loaded.cards}


@pytest.fixture
def models_of(trained: Settings, tmp_path: Path) -> Settings:
    """A copy of the trained folder that a test may spoil."""
    shutil.copytree(trained.var, tmp_path / "var")
    return Settings(var=tmp_path / "var", inference_token=TOKEN)
