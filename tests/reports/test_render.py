"""How a report looks: what a terminal, a spreadsheet and a Markdown page must not take amiss."""

import json

import pytest

from headcount.reports import catalogue, charts, render
from headcount.reports.catalogue import Chart

COLUMNS = ["date", "users"]
ROWS = [("2024-03-10", 31), ("2024-03-11", 7)]


def chart(count, **options):
    return bars(list(range(count)), **options)


def bars(values, **options):
    rows = [(f"day {i}", value) for i, value in enumerate(values)]
    of = Chart.of("day users", "A title")
    return charts.text(of, ["day", "users"], rows, **{"colour": False} | options)


def test_a_chart_without_colour_is_plain_text_of_the_terminals_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = chart(10)
    assert "\x1b" not in text and "█" in text and "A title" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b[" in chart(10, colour=True)


def test_a_chart_says_what_it_leaves_out(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = chart(400)
    assert "the last 34 of 400" in text and "day 399" not in text.splitlines()[0]


def test_charts_of_nothing_of_zeros_and_of_millions():
    assert bars([]) == "no rows\n"
    for values in ([0, 0], [1], [3_000_000, 12]):
        assert "A title" in bars(values)


def test_the_ticks_of_a_chart_are_round():
    assert [charts._step(top) for top in (1, 7, 31, 104, 1_000)] == [1, 2, 10, 20, 200]


def test_a_table_shows_control_characters_and_moves_no_cursor():
    text = render.table(["name"], [("a\x1b[2Jb\nc",), ("007",)])
    assert "\x1b" not in text and len(text.splitlines()) == 4
    assert "007" in text


def test_markdown_cells_stay_in_their_column():
    assert "a\\|b" in render.markdown(["name"], [("a|b",)])
    assert "<script" not in render.markdown(["name"], [("<script>",)])


def test_csv_neutralises_texts_and_leaves_numbers():
    rows = [("=1+1", -5), ("plain", 2.5), ("@x", None)]
    assert render.csv_text(["a", "b"], rows) == "a,b\r\n'=1+1,-5\r\nplain,2.5\r\n'@x,\r\n"
    assert "\n=1+1," in render.csv_text(["a", "b"], rows, raw=True)


def test_json_is_json():
    assert json.loads(render.json_text(COLUMNS, ROWS))[1] == {"date": "2024-03-11", "users": 7}
    assert json.loads(render.json_text(COLUMNS, [])) == []


def test_tsv_escapes():
    assert render.tsv_text(["a"], [("x\ty\\",), (None,)]) == "a\nx\\ty\\\\\n\\N\n"


@pytest.mark.parametrize(
    "name, params, title",
    [
        ("active_users", {}, "Active users of each local day"),
        ("active_users", {"window": "1"}, "Active users of each local day"),
        ("active_users", {"window": "7"}, "Active users of the 7 days that end with each date"),
        ("stickiness", {}, "Daily in percent of monthly active users"),
        (
            "stickiness",
            {"window": "7"},
            "Daily active users in percent of those of the 7 days that end with each date",
        ),
    ],
)
def test_the_title_of_a_chart_follows_its_parameter(name, params, title):
    report = catalogue.load(name)
    assert report.chart_of(report.params | params).title == title
