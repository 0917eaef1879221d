"""What does a person see while the stack comes up, and of how it stands?"""

from rich.console import Console

from local_stack import stack
from payment_pipeline.settings import Settings


def up(settings: Settings, only: tuple[str, ...] = ()) -> None:
    """Bring the stack up, one line for each component's news."""
    console = Console(highlight=False)
    stack.up(settings, only, lambda name, news: console.print(f"{name:<12}{news}"))
