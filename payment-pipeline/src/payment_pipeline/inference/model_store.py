"""The store of trained models: writes versions, and verifies them before it reads them.

`<var>/models/<model>/<version>/` holds `model.skops`, `card.json` and `manifest.json` with the
SHA-256 of both. `<var>/models/<model>/current` names the served version. A version is the hash of
everything that decides a score, so the same training makes the same version. Files are written to a
temporary folder and then moved, the pointer last. So a reader never sees half a model.

Nothing is unpickled. skops builds only the harmless types of scikit-learn that it knows, and the
types in `TRUSTED_TYPES`. A file with any other type is refused before anything is built.
"""

import hashlib
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, NamedTuple

import orjson
import skops.io
from sklearn.base import BaseEstimator

from payment_pipeline.domain.failures import UserError

from .model_card import Card

TRUSTED_TYPES: Final = (
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",  # from scipy 1.18 on, which needs Python 3.12
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
)
"""The types that a scorecard needs beyond skops' own list of harmless types."""
VERSION_CHARS: Final = 12

_MODEL: Final = "model.skops"
_CARD: Final = "card.json"
_MANIFEST: Final = "manifest.json"
_CURRENT: Final = "current"


class Stored(NamedTuple):
    """A model read from the store."""

    version: str
    estimator: BaseEstimator
    card: Card


def version_of(content: dict[str, object]) -> str:
    """Return the version for this content: `VERSION_CHARS` hex digits."""
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:VERSION_CHARS]


def refuse_unwritable(root: Path, name: str) -> None:
    """Check before a training, which takes minutes, that its model can be saved.

    Raises:
        UserError: the folder of the model is not writable.
    """
    try:
        _begun(root / name).rmdir()
    except OSError as failure:
        raise _unwritable(root, failure) from failure


def save(root: Path, estimator: BaseEstimator, card: Card) -> None:
    """Write a version, and make it the served version.

    Raises:
        UserError: the version can't be written, e.g. because the disk is full. The served version
            stays the same.
    """
    try:
        _save(root / card.model, estimator, card)
    except OSError as failure:
        raise _unwritable(root, failure) from failure


def _save(home: Path, estimator: BaseEstimator, card: Card) -> None:
    building = _begun(home)
    try:
        skops.io.dump(estimator, building / _MODEL)
        (building / _CARD).write_bytes(card.model_dump_json(indent=2).encode())
        manifest = {name: _sha256(building / name) for name in (_MODEL, _CARD)}
        (building / _MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        place = home / card.version
        if place.exists():
            # The same version gives the same scores, and a reader may have it open: keep it.
            shutil.rmtree(building)
        else:
            building.chmod(0o755)
            building.rename(place)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    pointer = home / f".{_CURRENT}.{os.getpid()}"
    pointer.write_text(card.version)
    pointer.replace(home / _CURRENT)


def _begun(home: Path) -> Path:
    """A new folder beside the versions."""
    home.mkdir(parents=True, exist_ok=True)
    return Path(mkdtemp(prefix=".building-", dir=home))


def _unwritable(root: Path, failure: OSError) -> UserError:
    return UserError(
        f"Can't write models to {root} ({failure.strerror or failure}): correct its permissions, "
        "free disk space, or set PAYMENTS_VAR to another folder."
    )


def current(root: Path, name: str) -> str:
    """Return the version of a model to serve.

    Raises:
        UserError: the model was never trained.
    """
    try:
        return (root / name / _CURRENT).read_text().strip()
    except FileNotFoundError:
        raise UserError(f"No trained model {name} in {root}: run `payments train` first.") from None


def load(root: Path, name: str, version: str) -> Stored:
    """Verify the hashes and the types of a version, then read it.

    Raises:
        UserError: a file is missing or was changed, or contains a type that isn't trusted.
    """
    place = root / name / version
    try:
        manifest = orjson.loads((place / _MANIFEST).read_bytes())
        for file in (_MODEL, _CARD):
            if _sha256(place / file) != manifest[file]:
                raise UserError(
                    f"{place / file} is not what was trained (its SHA-256 differs from the"
                    " manifest's): remove that folder and run `payments train` again."
                )
        wanted = set(skops.io.get_untrusted_types(file=place / _MODEL)) - set(TRUSTED_TYPES)
        if wanted:
            raise UserError(f"{place / _MODEL} holds types that aren't trusted: {sorted(wanted)}.")
        estimator = skops.io.load(place / _MODEL, trusted=list(TRUSTED_TYPES))
        return Stored(version, estimator, Card.model_validate_json((place / _CARD).read_bytes()))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"The model in {place} can't be read ({type(error).__name__}): run `payments train`."
        ) from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
