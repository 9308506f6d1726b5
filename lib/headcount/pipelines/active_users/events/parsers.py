"""The parser of a source's events: GA4 has one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headcount.pipelines.active_users.events import record, source

if TYPE_CHECKING:
    from headcount.pipelines.active_users.events import by_fields

    Parser = record.Parser | by_fields.Parser


def parser(definition: record.Definition) -> Parser:
    """What parses events as a definition says, by the source of its fields."""
    if definition.fields.source == source.GA4:
        return record.Parser(definition)
    from headcount.pipelines.active_users.events import by_fields  # GA4 starts faster without

    return by_fields.Parser(definition)
