"""The names under which files store the fields of dataclasses, independent of the names in the code."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any


class StoredNames:
    """The stored name of each field of a dataclass, in the fields' order.

    Args:
        kind: the dataclass.
        names: fields that are stored under the name they have in the code; two or more.
        without: fields that are stored in a form of their own, elsewhere.
        renamed: stored name -> the field that it stands for.

    Raises:
        TypeError: a field has no stored name, or a name stands for no field. Whoever renames a field in the code
            adds `stored_name="new_field"`, so that files keep the name they have.

    """

    def __init__(self, kind: type, *names: str, without: Collection[str] = (), **renamed: str) -> None:
        stored = {field: name for name, field in ({name: name for name in names} | renamed).items()}
        order = [spec.name for spec in fields(kind) if spec.name not in without]
        if len(order) != len(names) + len(renamed) or stored.keys() != set(order):
            raise TypeError(f"{kind.__name__}: give each field one stored name: {set(order) ^ stored.keys()}")
        self.names = tuple(stored[field] for field in order)
        self.fields: Mapping[str, str] = dict(zip(self.names, order, strict=True))
        """Stored name -> field, in the fields' order."""
        # One call for all fields: a call for each takes three times as long, on the core that measures.
        self.values_of = attrgetter(*order)
        """Return an instance's values, in the order of `names`."""

    def encode(self, value: object) -> dict[str, Any]:
        """Return stored name -> value, for an instance of the dataclass."""
        return dict(zip(self.names, self.values_of(value), strict=True))

    def decode(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return field -> value for the stored names in `members`; other names are ignored."""
        return {self.fields[name]: members[name] for name in members.keys() & self.fields.keys()}
