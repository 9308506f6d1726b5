"""What is taken away from a page: the rows behind a chart, under an address or in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from datasette_dashboards import replace_opts_in_query

# One of so many rows is for a page; a smaller one is what a chart is about, such as the top 15.
_PAGE_LIMIT = re.compile(r"\bLIMIT [0-9]{3,}\b")
_LONGEST = 40  # characters of a value in the name of a file
_DATES = ("since", "until")


@dataclass(frozen=True)
class AskedChart:
    """A chart of a dashboard, and the filters that an address asks for."""

    slug: str  # of the dashboard
    name: str
    chart: Mapping
    filters: Mapping[str, Mapping]  # that there are
    params: Mapping[str, str]  # those that are set

    @classmethod
    def of(cls, dashboards: Mapping, slug: str, name: str, args: Mapping) -> AskedChart | None:
        """None if there is no such chart."""
        dashboard = dashboards.get(slug, {})
        if name not in dashboard.get("charts", {}):
            return None
        filters = dashboard.get("filters", {})
        return cls(slug, name, dashboard["charts"][name], filters, given(filters, args))

    def statement(self, *, whole: bool) -> tuple[str, dict[str, str]]:
        """Its SQL, and what its parameters are; `whole`: without the limit of a page."""
        sql = replace_opts_in_query(self.chart["query"], dict(self.params))
        if whole:
            sql = _PAGE_LIMIT.sub("", sql)
        return sql, dict.fromkeys(self.filters, "") | self.params

    @property
    def note(self) -> str:
        """What it is narrowed to, in a line."""
        return note({name: told["name"] for name, told in self.filters.items()}, self.params)

    @property
    def file(self) -> str:
        """What a file of it is called, without a suffix."""
        return file_name(self.slug, self.name, params=self.params)

    def path(self, folder: str, suffix: str = "") -> str:
        """Its address below `folder`, with its filters."""
        return address(f"{folder}{self.slug}/{self.name}{suffix}", self.params)


def given(known: Iterable[str], args: Mapping[str, str]) -> dict[str, str]:
    """The parameters that are not empty, in the order of those that a page knows."""
    return {name: args[name] for name in known if args.get(name)}


def address(path: str, params: Mapping[str, str]) -> str:
    """The path with these parameters."""
    return f"{path}?{urlencode(params)}" if params else path


def file_name(*parts: str, params: Mapping[str, str]) -> str:
    """Such as active-users-daily-IOS-2026-11-01-2026-11-28: ASCII, without a suffix."""
    since, until = (params.get(name, "") for name in _DATES)
    if bool(since) != bool(until):
        since, until = (since and f"from-{since}"), (until and f"until-{until}")
    values = [value[:_LONGEST] for name, value in params.items() if name not in _DATES]
    slugs = (re.sub(r"[^\w.]+", "-", part, flags=re.A) for part in (*parts, *values, since, until))
    return "-".join(filter(None, (slug.strip("-.") for slug in slugs)))


def note(titles: Mapping[str, str], params: Mapping[str, str]) -> str:
    """What a page is narrowed to, in a line: each parameter by its title."""
    return " · ".join(f"{titles[name]}: {value[:80]}" for name, value in params.items())


def in_script(value: object) -> str:
    """JSON that can be a part of a script in a page: no text in it ends the script."""
    return json.dumps(value, default=repr).replace("<", "\\u003c")
