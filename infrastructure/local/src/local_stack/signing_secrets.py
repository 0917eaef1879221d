"""The settings of the providers' signing secrets."""

from typing import Final

from payment_pipeline.providers import providers
from payment_pipeline.settings import signing_name

PROVIDERS: Final = {signing_name(name): each for name, each in sorted(providers().items())}
"""Each provider, by the name of its signing secrets."""
NAMES: Final = tuple(PROVIDERS)
