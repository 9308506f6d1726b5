"""The search for names in raw bytes: it loses no line, however a name is spelled."""

import json
from random import Random

import pytest
from stringzilla import Str

from headcount.values.search import NameSearch

NAME = "engagement_time_msec"
OTHER = '{"key": "other", "path": "C:\\\\new\\u005fname"}\n'


def spelled(rng, name):
    """A JSON string of this value, with an escape for some of its characters."""
    return '"' + "".join(rng.choice([c, c, c, f"\\u{ord(c):04x}"]) for c in name) + '"'


def found(text, **options):
    """The lines that the search for NAME finds."""
    text = Str(text.encode())
    return [str(text[start:end]) for start, end in NameSearch([NAME], **options).spans(text)]


@pytest.mark.parametrize("seed", range(50))
def test_a_name_is_found_however_it_is_spelled(seed):
    line = f'{{"key": {spelled(Random(seed), NAME)}}}\n'
    assert json.loads(line)["key"] == NAME
    assert found(OTHER + line + OTHER) == [line]


@pytest.mark.parametrize("seed", range(50))
def test_a_name_is_found_in_a_text_of_json(seed):
    """As CSV files have event_params."""
    inner = f'[{{"key": {spelled(Random(seed), NAME)}}}]'
    line = json.dumps({"event_params": inner}) + "\n"
    assert json.loads(json.loads(line)["event_params"])[0]["key"] == NAME
    assert found(OTHER + line + OTHER, in_texts=[NAME]) == [line]
    assert not found(line) or "\\u" in line  # who does not ask for it need not pay for it


def test_other_lines_are_left_out():
    others = [f'{{"key": "{NAME}s"}}\n', f'{{"key": "x{NAME}"}}\n', OTHER]
    assert found("".join(others), in_texts=[NAME]) == []
