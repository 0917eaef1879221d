"""The model store: it loads only trained files, and equal trainings have equal versions."""

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from payment_pipeline.domain.failures import UserError
from payment_pipeline.inference import model_store, scoring_engine
from payment_pipeline.inference.training import models_dir, train
from payment_pipeline.settings import Settings


def place(settings: Settings, name: str = "fraud") -> Path:
    root = models_dir(settings)
    return root / name / model_store.current(root, name)


def test_the_same_seed_is_the_same_version(
    trained: Settings, train_again: Callable[[Settings], None], tmp_path: Path
) -> None:
    again = Settings(var=tmp_path)
    train_again(again)
    assert scoring_engine.current_versions(again) == scoring_engine.current_versions(trained)


def test_training_again_leaves_the_version_as_it_was(models_of: Settings) -> None:
    before = (place(models_of) / "model.skops").read_bytes()
    stored = model_store.load(models_dir(models_of), "fraud", place(models_of).name)
    model_store.save(models_dir(models_of), stored.estimator, stored.card)
    assert (place(models_of) / "model.skops").read_bytes() == before
    assert not list(place(models_of).parent.glob(".*"))


def test_one_flipped_bit_is_refused(models_of: Settings) -> None:
    path = place(models_of) / "model.skops"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))
    with pytest.raises(UserError, match="not what was trained"):
        scoring_engine.load(models_of)


def test_a_changed_card_is_refused(models_of: Settings) -> None:
    card = place(models_of) / "card.json"
    card.write_text(card.read_text().replace("fraud", "froud"))
    with pytest.raises(UserError, match="not what was trained"):
        scoring_engine.load(models_of)


def test_a_type_that_is_not_on_the_list_is_refused_even_with_its_hash(models_of: Settings) -> None:
    path, manifest = place(models_of) / "model.skops", place(models_of) / "manifest.json"
    skops.io.dump(FunctionTransformer(func=Path.unlink), path)
    hashes = json.loads(manifest.read_text())
    hashes["model.skops"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(hashes))
    with pytest.raises(UserError, match="aren't trusted"):
        scoring_engine.load(models_of)


def test_the_trusted_list_has_nothing_that_no_model_needs(trained: Settings) -> None:
    needed = set()
    for name in scoring_engine.current_versions(trained):
        needed |= set(skops.io.get_untrusted_types(file=place(trained, name) / "model.skops"))
    # scipy has one of these types under two names, of which each version has one.
    splines = {f"scipy.interpolate._bsplines.{name}" for name in ("BSpline", "_BSpline")}
    assert needed < set(model_store.TRUSTED_TYPES)
    assert set(model_store.TRUSTED_TYPES) - needed == splines - needed
    assert len(splines & needed) == 1


@pytest.mark.parametrize("missing", ["model.skops", "card.json", "manifest.json"])
def test_half_a_model_is_a_sentence(models_of: Settings, missing: str) -> None:
    (place(models_of) / missing).unlink()
    with pytest.raises(UserError, match="payments train"):
        scoring_engine.load(models_of)


def test_an_untrained_model_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `payments train` first"):
        scoring_engine.load(Settings(var=tmp_path))


def test_a_folder_that_takes_no_model_is_told_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("no folder")
    steps: list[str] = []
    with pytest.raises(UserError, match=r"Can't write models to .*PAYMENTS_VAR"):
        train(Settings(var=tmp_path), steps.append)
    assert steps == []


def test_a_full_disk_leaves_the_served_version_as_it_was(
    models_of: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = place(models_of)
    stored = model_store.load(models_dir(models_of), "fraud", before.name)
    monkeypatch.setattr(skops.io, "dump", full)
    with pytest.raises(UserError, match="No space left on device"):
        model_store.save(
            models_dir(models_of),
            stored.estimator,
            stored.card.model_copy(update={"version": "another"}),
        )
    assert place(models_of) == before
    assert not list(before.parent.glob(".building-*"))
