"""Reads the configuration of existing topics, and raises it to the settings.

Values are only raised: a longer retention and larger records lose nothing, but a shorter retention
deletes records. To shorten it, use `kafka-configs`; `payments doctor` shows the difference.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, for_code

RETENTION_MS: Final = "retention.ms"
RAISED: Final = (RETENTION_MS, "max.message.bytes")
WITHOUT_END: Final = -1
"""A retention that never ends."""
SET_ON_THE_TOPIC: Final = 1
"""Kafka's `config_source` of a value that is set on the topic and not a default."""


async def read(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the values that are set on each topic, without the broker's defaults.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(topics)]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(asked) if asked else ():
        for code, message, _, topic, entries in response.resources:
            if (error := for_code(code)) is not NoError:
                raise error(f"topic {topic}: {message}")
            found[topic] = {entry[0]: entry[1] for entry in entries if entry[3] == SET_ON_THE_TOPIC}
    return found


async def raise_to(
    admin: AIOKafkaAdminClient, topics: Iterable[str], wanted: Mapping[str, str]
) -> tuple[str, ...]:
    """Raise values of existing topics that are below the wanted ones; return a line per change.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    changes: list[str] = []
    asked = []
    for topic, held in (await read(admin, topics)).items():
        less = {name: wanted[name] for name in RAISED if is_less(held.get(name), wanted[name])}
        if less:
            # The request replaces all values of the topic, so the existing values are sent, too.
            asked.append(ConfigResource(ConfigResourceType.TOPIC, topic, {**held, **less}))
            changes += [f"{topic} {name}={value}" for name, value in less.items()]
    for response in await admin.alter_configs(asked) if asked else ():
        for code, message, _, topic in response.resources:
            if (error := for_code(code)) is not NoError:
                raise error(f"topic {topic}: {message}")
    return tuple(changes)


def is_less(held: str | None, wanted: str) -> bool:
    """Return true if a value is set and is below the wanted one; a default is left as it is."""
    return held is not None and int(held) != WITHOUT_END and int(held) < int(wanted)
