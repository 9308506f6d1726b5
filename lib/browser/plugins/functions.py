"""The SQL functions of reports, which anybody may call, with those of dashboards."""

from datasette import hookimpl

from headcount.db import properties
from headcount.reports import connection
from headcount.reports.web import page_functions


@hookimpl
def prepare_connection(conn, database, datasette):
    if database in (None, "_internal", "_memory"):  # Datasette's own
        return
    connection.register(conn)
    properties.show(conn, datasette.property)
    page_functions.register(conn)
