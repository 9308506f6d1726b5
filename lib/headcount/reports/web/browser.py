"""The database in a web browser: what Datasette is told of it.

lib/browser/ has the dashboards (one YAML file each, as datasette-dashboards wants them), the
plugin that guards the pages, and what they load. Reports become queries by themselves.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence

import uvicorn
from datasette.app import Datasette
from datasette.database import Database

from headcount.db import connection, properties
from headcount.errors import OK
from headcount.reports import catalogue
from headcount.reports.web import hidden, listening
from headcount.reports.web.dashboards import FOLDER, MOST_ROWS, NAME, dashboards, query
from headcount.reports.web.embedding import Embedding
from headcount.reports.web.gate import Gate

_SETTINGS = {
    "sql_time_limit_ms": 5000,
    "num_sql_threads": 4,  # two of which are left for reports: see guard.py
    "facet_time_limit_ms": 500,
    "max_returned_rows": MOST_ROWS,
    "default_page_size": 50,
    "max_csv_mb": 10,
    "allow_csv_stream": False,
    "allow_download": False,
    "suggest_facets": False,
    "truncate_cells_html": 200,
    "default_cache_ttl": 0,  # numbers change
}

# All other tables serve these, and are hidden.
_TABLES = {
    "active_user_table": {
        "description": "Active users of each local day",
        "sort_desc": "date",
    },
    "active_users_by": {
        "description": "Active users of each local day by the values of fields",
        "sort_desc": "date",
        "facets": ["dimension"],
    },
    "active_user_history": {
        "description": "Every value that a published day ever had, and the run that set it",
        "sort_desc": "changed_at",
    },
    "site_activity": {"description": "Chats, e-mails, operators and visitors of each site"},
    "site_activity_by_day": {
        "description": "Chats, e-mails, operators and visitors of each site, by local day",
        "sort_desc": "date",
        "facets": ["site_id"],
    },
    "site_online_interval": {"description": "When each site had an operator online"},
    "v_recent_change": {
        "title": "Recent changes",
        "description": "Search looks for words of titles and comments",
        "fts_table": "recent_change_search",
        "fts_pk": "pk",
        "sort_desc": "pk",
        "facets": ["wiki", "edit_type", "bot"],
        "columns": {
            "edit_ts": "when it happened (UTC)",
            "created_at": "when it came (UTC)",
            "id": "meta.id of the event",
        },
    },
    "recent_change_raw": {
        "description": "The events of recent changes as they came",
        "sort_desc": "pk",
    },
    "page": {"description": "Pages that have been crawled"},
    "post": {"description": "Posts that crawls have shown"},
    "post_meta": {"description": "What is told of posts beside the crawls", "facets": ["type"]},
    "comment": {
        "description": "Comments and replies; search looks for words of messages",
        "fts_table": "comment_search",
        "fts_pk": "pk",
        "sort_desc": "created_at",
        "columns": {
            "parent_id": "the comment that this one replies to",
            "created_at": "UTC",
        },
    },
    "stream_gap": {"description": "Events that a stream should have brought and has not"},
    "run": {"description": "The ledger: every import", "sort_desc": "id", "facets": ["status"]},
    # The pages of a table follow its key, of which the path is a part: what is hidden ends them.
    "run_input": {"description": "What each import read", "size": 1000},
    "run_reject": {"description": "Rejected lines of each import, by reason"},
    "run_filter": {"description": "Lines that each import left out, by reason"},
    "setting": {"description": "What the numbers of this database mean"},
}
_HIDING_REPORTS = {"runs"}  # have a column that is hidden
_HIDING = "What may hold ids or paths is empty: serve-db --show-ids shows it"


class _Datasette(Datasette):
    """With who may come in (`gate`; None: who can reach it), who may frame charts (`embedding`;
    None: nobody), and what they are shown."""

    gate: Gate | None = None
    embedding: Embedding | None = None
    show_ids = False
    property = properties.DEFAULT  # whose the plain names of tables are

    def _connected_databases(self):
        shown = super()._connected_databases()
        if not self.show_ids:
            shown = [one | {"path": os.path.basename(one["path"])} for one in shown]
        return shown


class _Database(Database):
    async def execute(self, sql, *args, **options):
        if not self.ds.show_ids:
            if refusal := hidden.refusal(sql):
                raise sqlite3.OperationalError(refusal)
            sql = hidden.named(sql)
        return await super().execute(sql, *args, **options)


def _metadata(tables: list[str], zones: Mapping[str, str], show_ids: bool) -> dict:
    queries = {name: query(catalogue.load(name)) for name in catalogue.names()}
    described = {name: dict(_TABLES.get(name, {"hidden": True})) for name in tables}
    if not show_ids:
        hiding = [queries[name] for name in _HIDING_REPORTS]
        hiding += [told for name, told in described.items() if hidden.has_them(name)]
        for told in hiding:
            told["description"] = "; ".join(filter(None, [told.get("description"), _HIDING]))
    return {
        "title": "Headcount",
        "databases": {
            NAME: {
                "tables": described,
                "queries": queries,
                "description_html": '<a href="/-/dashboards">Dashboards with charts</a>',
            }
        },
        "plugins": {"datasette-dashboards": dashboards(zones)},
    }


def _tables_and_zones(path: str, whose: str) -> tuple[list[str], dict[str, str]]:
    with connection.for_reading(path) as db:
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type <> 'index'").fetchall()
        properties.show(db, whose)
        zones = db.execute(
            "SELECT 'zone', value FROM setting WHERE name = 'tz' UNION ALL "
            "SELECT 'site_zone', value FROM main.setting WHERE name = 'site-activity.tz'"
        ).fetchall()
    return [name for (name,) in tables], dict(zones)


def _datasette(path: str, whose: str, *, show_ids: bool = False) -> _Datasette:
    datasette = _Datasette(
        [],
        metadata=_metadata(*_tables_and_zones(path, whose), show_ids),
        plugins_dir=str(FOLDER / "plugins"),
        template_dir=str(FOLDER / "templates"),
        static_mounts=[("browser", str(FOLDER / "static"))],
        settings=_SETTINGS,
    )
    datasette.show_ids, datasette.property = show_ids, whose
    database = _Database(datasette, path=os.path.abspath(path), is_mutable=True)
    datasette.add_database(database, name=NAME)
    datasette.remove_database("_memory")  # which nobody guards
    return datasette


def check(path: str, whose: str) -> None:
    """Raises Failure if a page would find no database, or a query about a property is wrong."""
    datasette = _datasette(path, whose)

    async def explain() -> None:
        await datasette.invoke_startup()
        database = datasette.get_database(NAME)
        for name in catalogue.names():
            report = query(catalogue.load(name))
            await database.execute(f"EXPLAIN {report['sql']}", dict.fromkeys(report["params"], ""))
        for dashboard in dashboards().values():
            filters = dict.fromkeys(dashboard.get("filters", {}), "")
            for chart in dashboard["charts"].values():
                await database.execute(
                    "EXPLAIN " + re.sub(r"\[\[|\]\]", "", chart["query"]), filters
                )

    with connection.errors(path, "read"):
        asyncio.run(explain())


def serve(
    path: str,
    where: int | str,
    note: Callable[[str], None],
    *,
    whose: str,
    show_ids: bool = False,
    embed: Sequence[str] = (),
) -> int:
    """Serve until a signal ends it; returns the exit status. Raises Failure as listening does.

    `where` is a port, which wants a token, or the path of a socket. `note` gets where to look.
    `whose` is the property that all pages are about; `embed` are the origins that may frame charts.
    """
    datasette = _datasette(path, whose, show_ids=show_ids)
    asyncio.run(datasette.invoke_startup())
    # Addresses are not logged: one has the token.
    config = uvicorn.Config(
        datasette.app(), log_level="warning", access_log=False, lifespan="on", ws="none"
    )
    is_port = isinstance(where, int)
    token = secrets.token_urlsafe() if is_port else None
    datasette.embedding = Embedding(embed, token) if embed else None
    with listening.on_port(where) if is_port else listening.on_file(where) as listener:
        if is_port:
            datasette.gate = Gate(token)
            address = f"{listening.HOST}:{listener.getsockname()[1]}/?token={token}"
            note(f"http://{address} (Ctrl-C ends it)")
        else:
            note(f"the socket {where}, as http://localhost/ (Ctrl-C ends it)")
        uvicorn.Server(config).run(sockets=[listener])
    return OK
