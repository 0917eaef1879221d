"""The secrets that a stack generates for itself, and the form of a new one."""

import secrets

from local_stack.components import components
from local_stack.files import write_private
from local_stack.signing_secrets import PROVIDERS
from payment_pipeline.settings import Settings


def names() -> tuple[str, ...]:
    """The names of all generated secrets."""
    return tuple(name for each in components().values() for name in each.generated_secrets)


def generate(settings: Settings, more: tuple[str, ...] = ()) -> list[str]:
    """Generate each secret that is neither given nor in a file. The files are private.

    Args:
        settings: of the stack.
        more: names of secrets that no component here has.

    Returns:
        The names of those that were generated.
    """
    given = settings.given_secrets
    paths = {name: settings.secrets_dir / name for name in (*names(), *more)}
    missing = [name for name, path in paths.items() if name not in given and not path.exists()]
    for name in missing:
        write_private(paths[name], new_secret(name) + "\n")
    return missing


def new_secret(name: str) -> str:
    """A random secret. A provider's signing secret has that provider's form."""
    random = secrets.token_urlsafe(32)
    provider = PROVIDERS.get(name)
    return provider.new_secret(random) if provider else random
