"""The functions that reports call, and anybody may."""

from datasette import hookimpl

from headcount.db import properties
from headcount.reports import connection


@hookimpl
def prepare_connection(conn, database, datasette):
    if database in (None, "_internal", "_memory"):  # Datasette's own
        return
    connection.register(conn)
    properties.show(conn, datasette.property)
