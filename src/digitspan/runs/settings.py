"""Settings: dataclass fields with their help text and their range, and what is out of it."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from digitspan.errors import ConfigError, one_of

__all__ = ["LARGEST_RATE", "check_setting", "setting"]

LARGEST_RATE = float(2**128 - 2**104)
"""3.4e38, the largest number in single precision, in which weights are moved."""


def setting(
    default: Any, text: str, *, least: float | None = None, above: float | None = None,
    most: float = sys.float_info.max, choices: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """A dataclass field with its help text and its range, both for `--help` and for the check.

    Args:
        default: the value where none is given; `dataclasses.MISSING` where one must be.
        text: the help text.
        least: the smallest value allowed.
        above: the largest value no longer allowed.
        most: beside `above`, the largest value allowed.
        choices: the words allowed.
    """
    metadata: dict[str, Any] = {"help": text, "least": least, "above": above, "most": most}
    metadata["choices"] = choices
    return dataclasses.field(default=default, metadata=metadata)


def check_setting(field: dataclasses.Field[Any], value: object) -> None:
    """Refuse one value that is out of its `setting`'s range.

    Raises:
        ConfigError: naming the setting, the range and the value.
    """
    metadata = field.metadata
    if value is None and field.default is None:
        return
    if metadata.get("choices") and value not in metadata["choices"]:
        raise ConfigError(field.name, one_of(value, metadata["choices"]))
    if field.default is False and not isinstance(value, bool):
        raise ConfigError(field.name, f"must be true or false; got {value!r:.80}")
    if metadata.get("least") is not None:
        least = metadata["least"]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            expected = f"must be a whole number from {least} on"
            raise ConfigError(field.name, f"{expected}; got {value!r:.80}")
        if value >= 2**63:
            raise ConfigError(field.name, f"must be below 2^63; got {value!r:.80}")
    if metadata.get("above") is not None:
        above, most = metadata["above"], metadata["most"]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not above < value <= sys.float_info.max:  # type: ignore[operator]
            raise ConfigError(field.name, f"must be above {above} and finite; got {value!r:.80}")
        if value > most:
            raise ConfigError(field.name, f"must be at most {most:.2g}; got {value!r:.80}")
