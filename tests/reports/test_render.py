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


def lines_of_target(text):
    return [i for i, line in enumerate(text.splitlines()) if "target" in line]


@pytest.mark.parametrize("values", [[0], [3, 7], [100, 250], [9_999, 10_000, 10_001], [1] * 400])
@pytest.mark.parametrize("target", [0.5, 7, 100.25, 10_000, 2_000_000])
def test_a_target_is_a_line_on_its_axis_whatever_the_values(monkeypatch, values, target):
    monkeypatch.setenv("COLUMNS", "80")
    text = bars(values, target=target)
    (at,) = lines_of_target(text)
    line = text.splitlines()[at]
    assert line.startswith(f"target {target:.12g}├") or f" target {target:.12g}├" in line
    assert max(map(len, text.splitlines())) <= 80
    ticks = [(i, part) for i, row in enumerate(text.splitlines()) if (part := row.split("┤")[0])]
    above = [int(tick) for i, tick in ticks if i < at and tick.strip().isdigit()]
    below = [int(tick) for i, tick in ticks if i > at and tick.strip().isdigit()]
    assert above and min(above) > target and all(tick < target for tick in below)
    assert max(values) <= max(above)
    plain = bars(values)
    assert lines_of_target(plain) == [] and "target" not in plain


def test_a_target_is_in_charts_of_several_columns_and_of_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [(f"day {i}", "v", i, i) for i in range(5)]
    for columns in ("day a,b", "day a+b"):
        text = charts.text(
            Chart.of(columns, "A title"), ["day", "v", "a", "b"], rows, colour=False, target=50
        )
        assert len(lines_of_target(text)) == 1
    lines = Chart("A title", "day", ("a",), across="v", lines=True)
    text = charts.text(lines, ["day", "v", "a", "b"], rows, colour=False, target=50)
    assert len(lines_of_target(text)) == 1


def drawn(values, **options):
    """A chart with a line for each value: {value: {label: number}}."""
    chart = Chart("A title", "date", ("users",), across="value", lines=True)
    rows = [
        (value, f"2024-03-{label:02}", number)
        for value, numbers in values.items()
        for label, number in numbers.items()
    ]
    return charts.text(chart, ["value", "date", "users"], rows, **{"colour": False} | options)


def test_a_chart_by_value_has_a_line_for_each(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    flat = {f"v{i}": dict.fromkeys(range(1, 20), 10 * (9 - i)) for i in range(9)}
    text = drawn(flat)
    for mark in "ABCDEFGH":
        row = next(line for line in text.splitlines() if f"{mark}{mark}{mark}" in line)
        assert row.count(mark) >= 60  # from the first day to the last
    assert "III" not in text and "8 of 9 values with the most users" in text
    assert text.splitlines()[-1].split()[:4] == ["A", "v0", "B", "v1"] and "v8" not in text
    assert "\x1b[" in drawn(flat, colour=True)
    assert "values with" not in drawn({"a": {1: 1}, "b": {1: 2}})


def test_a_day_that_a_value_does_not_have_is_0(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = drawn({"late": {3: 50}, "all": dict.fromkeys(range(1, 6), 30)})
    zero = next(line for line in text.splitlines() if line.strip().startswith("0┤"))
    assert zero.count("A") > 20
    ticks = text.splitlines()[-2].split()  # by date, whatever the order of the rows
    assert ticks == sorted(ticks) and ticks[0] == "2024-03-01"


def test_a_legend_is_of_one_width_and_moves_no_cursor(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    values = ["x" * 5000, "a\x1b[2Jb", "line\nbreak", "", "\u202eevil", "two  words"]
    text = drawn({value: {1: 1} for value in values})
    assert "\x1b" not in text and "\u202e" not in text and "(empty)" in text
    assert max(map(len, text.splitlines())) <= 60
    assert all(word in text for word in ("a\\x1b[2Jb", "line\\nbreak", "two  words"))


def test_a_title_that_is_too_long_is_above_the_chart(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    long = Chart.of("day users", "A title " * 9)
    text = charts.text(long, ["day", "users"], [("d", 1)], colour=False)
    assert " ".join(text.split("┌")[0].split()) == " ".join(["A title"] * 9)


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
        ("active_users", {"window": "7"}, "7-day active users (rolling)"),
        ("stickiness", {}, "Stickiness (DAU/MAU)"),
        ("stickiness", {"window": "7"}, "Stickiness (DAU in percent of 7-day active users)"),
        ("retention", {}, "Weekly retention by cohort, in percent"),
        ("retention", {"by": "day"}, "Daily retention by cohort, in percent"),
    ],
)
def test_the_title_of_a_chart_follows_its_parameter(name, params, title):
    report = catalogue.load(name)
    assert report.chart_of(report.params | params).title == title
