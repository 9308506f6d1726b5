"""The functions that reports call."""

from datasette import hookimpl

from headcount import sql_days


@hookimpl
def prepare_connection(conn):
    sql_days.register(conn)
