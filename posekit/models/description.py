"""What the descriptions in weights files share: a dataclass as JSON, and notes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import ClassVar, TypeVar

Note = str | int | float | bool | None

_VERSION = 1
Own = TypeVar("Own", bound="Description")


class Description:
    """Base of the dataclasses that describe a model; they have a mapping of `notes`."""

    notes: Mapping[str, Note]
    _tuples: ClassVar[tuple[str, ...]] = ()

    def with_notes(self: Own, **notes: Note) -> Own:
        """The same, with notes added or replaced."""
        return replace(self, notes={**self.notes, **notes})

    def to_json(self) -> str:
        """Text for the file's metadata; `from_json` reads it back."""
        return json.dumps({"version": _VERSION, **asdict(self)})

    @classmethod
    def from_json(cls: type[Own], text: str) -> Own:
        """Rebuild from `to_json`'s text; `ValueError` if it is another version's, or no such text."""
        fields = json.loads(text)
        try:
            version = fields.pop("version")
            if version != _VERSION:
                raise ValueError(f"its format is {version!r}, this posekit reads {_VERSION}")
            tuples = {name: tuple(fields.pop(name)) for name in cls._tuples}
            return cls(**tuples, **fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
