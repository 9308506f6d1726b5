"""The functions that reports call, and anybody may."""

from datasette import hookimpl

from headcount import sql_bitmaps, sql_days, sql_sketches


@hookimpl
def prepare_connection(conn, database):
    if database in (None, "_internal", "_memory"):  # Datasette's own
        return
    for functions in (sql_bitmaps, sql_days, sql_sketches):
        functions.register(conn)
