"""The application of the gateway's public port: webhooks, and nothing else."""

from starlette.types import Receive, Scope, Send

from . import answers
from .webhook import PREFIX, Webhooks


class Gateway:
    """The ASGI application. It is plain ASGI, because FastAPI's middleware costs time here."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves webhooks, and answers 404 to everything else."""
        if scope["path"].startswith(PREFIX):
            await self._webhooks(scope, receive, send)
        else:
            await send(answers.NOT_FOUND.start)
            await send(answers.NOT_FOUND.body)
