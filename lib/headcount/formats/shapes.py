"""What shape an input has (a stand-in)."""

from typing import NamedTuple

from headcount.io import inputs


class Wanted(NamedTuple):
    columns: object
    is_header: object
    text: bool = False


def reader(wanted):
    return inputs.LINES
