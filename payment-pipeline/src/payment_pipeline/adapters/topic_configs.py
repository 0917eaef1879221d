"""What is set on a topic that exists, and how is it brought up to the settings?

Only upwards: a longer retention and larger records lose nothing, and a shorter one deletes. Who
wants that says it to Kafka himself (`kafka-configs`); `payments doctor` names the difference.
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
"""Kafka's `config_source` of what is not a default of the broker's."""


async def read(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, dict[str, str]]:
    """What is set on each topic itself, by name.

    Raises:
        KafkaError: the broker can't be reached, or refuses.
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
    """Raise what is less on topics that exist; what was done, a line a change.

    Raises:
        KafkaError: the broker can't be reached, or refuses.
    """
    said: list[str] = []
    asked = []
    for topic, held in (await read(admin, topics)).items():
        less = {name: wanted[name] for name in RAISED if is_less(held.get(name), wanted[name])}
        if less:
            # The request replaces all that is set on the topic: what others set there stays.
            asked.append(ConfigResource(ConfigResourceType.TOPIC, topic, {**held, **less}))
            said += [f"{topic} {name}={value}" for name, value in less.items()]
    for response in await admin.alter_configs(asked) if asked else ():
        for code, message, _, topic in response.resources:
            if (error := for_code(code)) is not NoError:
                raise error(f"topic {topic}: {message}")
    return tuple(said)


def is_less(held: str | None, wanted: str) -> bool:
    """Whether a value that is set is below the wanted one; a default is the broker's own."""
    return held is not None and int(held) != WITHOUT_END and int(held) < int(wanted)
