"""Sentences about settings with an invalid value, for the end of a process."""

from pydantic import AliasChoices, ValidationError

from payment_pipeline.settings import Settings, variable


def sentences(wrong: ValidationError) -> list[str]:
    """One sentence for each invalid value, with its variable, or for an impossible combination."""
    return [
        f"{_name(error['loc'])}: {_said(error['msg'])}" if error["loc"] else _said(error["msg"])
        for error in wrong.errors(include_input=False)
    ]


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _name(location: tuple[int | str, ...]) -> str:
    """The name of the variable, or both names if a standard variable sets it too."""
    for field in Settings.model_fields.values():
        names = field.validation_alias
        if isinstance(names, AliasChoices) and location[0] in names.choices:
            return " or ".join(map(str, names.choices))
    return variable("_".join(map(str, location)))
