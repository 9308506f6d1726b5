"""Reports as SVG, PNG and pages: what they draw, what they say, and that they need nothing else."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from headcount.errors import Failure
from headcount.reports import catalogue, render
from headcount.reports.catalogue import Chart
from headcount.reports.pictures import marks, vega_lite
from headcount.reports.pictures.known_days import KnownDays
from helpers.events import event
from helpers.programs import BARE, BIN, run

pytest.importorskip("vl_convert", reason="no vl-convert: make .venv/charts")

TODAY = date(2024, 5, 1)
USERS = Chart.of("date users", "Active users")
LINES = Chart("Active users, by f", "date", ("users",), across="value", lines=True)
DAY = 86_400 * 10**6
HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" 'x' & </svg>",
    "\u202eevil",
    "x" * 3000,
    "שלום",
    "line\nbreak",
    "",
    "=1+1",
    "${1} {{2}} datum.x",
    "url(http://example.org/x)",
]


def day(number):
    return str(date(2024, 3, 1) + timedelta(number))


def known(*numbers, **more):
    return KnownDays(days={day(number) for number in numbers}, zone="Asia/Tokyo", **more)


def drawn(rows, of, chart=USERS, columns=("date", "users"), **options):
    return vega_lite.picture(chart, columns, rows, of, **{"today": TODAY} | options)


def layers(picture, mark):
    found = [each for each in picture.spec["layer"] if each["mark"] == mark]
    found += [
        each
        for each in picture.spec["layer"]
        if isinstance(each["mark"], dict) and each["mark"]["type"] == mark
    ]
    return found


def runs(layer):
    """Of a layer of lines: the points of each piece, as days from the first of March."""
    found = {}
    for row in layer["data"]["values"]:
        number = row["x"] - date(2024, 3, 1).toordinal()
        found.setdefault(row["run"], []).append((number, row["y"]))
    return list(found.values())


def test_a_missing_day_is_a_gap_and_a_day_without_users_is_0():
    picture = drawn([(day(n), 7) for n in (0, 1, 4, 6, 8)], known(0, 1, 4, 5, 6, 8))
    (line,) = layers(picture, "line")
    assert runs(line) == [[(0, 7), (1, 7)], [(4, 7), (5, 0), (6, 7)]]
    (points,) = layers(picture, "point")  # the last day stands alone
    assert len(points["data"]["values"]) == 6
    (grey,) = layers(picture, "rect")
    assert len(grey["data"]["values"]) == 3
    assert picture.notes == ["grey: no data on 2024-03-03, 2024-03-04, 2024-03-08"]


def test_lone_days_of_a_long_chart_have_points():
    some = [n for n in range(100) if n not in (49, 51)]
    picture = drawn([(day(n), n) for n in some], known(*some))
    (points,) = layers(picture, "point")
    assert [row["y"] for row in points["data"]["values"]] == [50]


def test_windows_with_fewer_days_are_dashed_and_said():
    rows = [(day(n), 10 + n) for n in range(10)]
    picture = drawn(rows, known(*range(10), window=7))
    whole, dashed = layers(picture, "line")
    assert [n for n, _ in runs(dashed)[0]] == list(range(7))
    assert [n for n, _ in runs(whole)[0]] == [6, 7, 8, 9]
    assert "strokeDash" in dashed["mark"] and "strokeDash" not in whole["mark"]
    assert picture.notes == [
        "dashed, pale: fewer than 7 days known (6 of 7 days known on 2024-03-06)"
    ]
    picture = drawn(rows, known(*range(10), window=28))
    assert "(10 of 28 days known on 2024-03-10)" in picture.notes[0]


def test_windows_over_a_gap_are_dashed_too():
    some = [n for n in range(30) if n != 15]
    (whole, dashed) = layers(drawn([(day(n), 9) for n in some], known(*some, window=3)), "line")
    assert [[n for n, _ in run] for run in runs(dashed)] == [[0, 1, 2], [16, 17, 18]]
    assert [[n for n, _ in run] for run in runs(whole)] == [
        [*range(2, 15)],
        [*range(18, 30)],
    ]


def test_provisional_days_are_hollow():
    of = known(*range(10), provisional={day(8), day(9)}, window=1)
    picture = drawn([(day(n), 5) for n in range(10)], of)
    plain, hollow = layers(picture, "point")
    assert len(plain["data"]["values"]) == 8 and len(hollow["data"]["values"]) == 2
    assert hollow["mark"]["fill"] == marks.PAPER
    (note,) = picture.notes
    assert note.startswith("hollow: numbers of 2 days since 2024-03-09 are provisional")


def test_parts_are_stacked_and_all_new_on_the_first_day_is_said():
    chart = Chart.of("date new+returning", "Users")
    rows = [(day(n), n + 1, 10 * n) for n in range(3)]
    picture = drawn(rows, known(*range(3)), chart, ("date", "new", "returning"))
    sure, pale = layers(picture, "rect")
    assert [(row["y"], row["top"]) for row in sure["data"]["values"]] == [
        *[(0, 2), (2, 12)],
        *[(0, 3), (3, 23)],
    ]
    assert [row["top"] for row in pale["data"]["values"]] == [1]
    assert "every user counts as new" in picture.notes[0]


@pytest.mark.parametrize(("count", "expected"), [(3, 3), (8, 8), (60, 8)])
def test_there_is_a_line_for_each_of_eight_values(count, expected):
    rows = [(f"v{v}", day(n), 100 - v) for v in range(count) for n in range(5)]
    picture = drawn(rows, known(*range(5)), LINES, ("value", "date", "users"))
    (line,) = layers(picture, "line")
    assert len(runs(line)) == expected
    scale = line["encoding"]["color"]["scale"]
    assert scale["domain"] == [f"v{v}" for v in range(expected)]
    assert len(set(scale["range"])) == expected
    assert any("8 of 60 values" in note for note in picture.notes) == (count > 8)


def test_different_values_that_look_alike_have_different_names():
    rows = [("x" * size, day(0), size) for size in (3000, 3001)]
    (points,) = layers(
        drawn(rows, known(0), LINES, ("value", "date", "users")),
        "point",
    )
    assert len({row["series"] for row in points["data"]["values"]}) == 2


def test_the_axis_says_year_zone_and_unit():
    rows = [(day(n), 20_000) for n in range(5)]
    picture = drawn(rows, known(*range(5)), today=date(2026, 1, 1))
    encoding = layers(picture, "line")[0]["encoding"]
    assert encoding["x"]["axis"]["title"] == "local day, Asia/Tokyo"
    assert '["Mar 1", "2024"]' in encoding["x"]["axis"]["labelExpr"]
    assert encoding["y"]["axis"]["title"] == "users" and "," in encoding["y"]["axis"]["format"]
    same = layers(drawn(rows, known(*range(5))), "line")[0]["encoding"]
    assert "2024" not in same["x"]["axis"]["labelExpr"]
    (last,) = layers(picture, "text")
    assert last["data"]["values"][0]["text"] == "20,000"


@pytest.mark.parametrize("length", [1, 2, 12, 13, 60, 84, 85, 366, 1000, 4000, 40_000])
def test_there_are_few_ticks_on_days_of_the_chart(length):
    picture = drawn([(day(0), 1), (day(length - 1), 1)], known(*range(length)))
    axis = picture.spec["layer"][0]["encoding"]["x"]["axis"]
    first = date(2024, 3, 1).toordinal()
    assert 1 <= len(axis["values"]) <= 13
    assert all(first <= value < first + length for value in axis["values"])


def test_a_target_is_a_labelled_line():
    picture = drawn([(day(0), 5)], known(0), target=12_000.5)
    (rule,), texts = layers(picture, "rule"), layers(picture, "text")
    assert rule["data"]["values"][0] == {"at": 12_000.5, "text": "target 12,000.5"}
    assert "target 12,000.5" in json.dumps(texts)


def test_a_matrix_tells_what_is_not_known():
    chart = Chart("Percent", "cohort", ("percent",), across="later")
    rows = [
        (day(n), 1234, later, 50.0 if later else 100.0) for n in (0, 7, 14) for later in range(3)
    ]
    of = known(*range(7), *range(9, 12), *range(21, 40), step=7)
    picture = drawn(rows, of, chart, ("cohort", "size", "later", "percent"))
    texts = [row["text"] for each in layers(picture, "text") for row in each["data"]["values"]]
    assert sorted(texts) == sorted(["100.0", "100.0*", "50.0*", *3 * ["–"], *3 * ["50.0"]])
    assert f"{day(0)}  (1,234)" in json.dumps(picture.spec)
    assert picture.notes[-2:] == ["–: no data", "*: not all 7 days known"]


def test_bars_say_how_many_are_left_out():
    rows = [(f"site {n}", n) for n in range(1000)]
    picture = drawn(rows, KnownDays(), Chart.of("site n", "Sites"), ("site", "n"))
    assert picture.notes == ["the first 40 of 1000"]
    assert len(layers(picture, "bar")[0]["data"]["values"]) == 40


def test_a_chart_of_a_column_that_is_not_there_is_wrong_use():
    with pytest.raises(Failure, match="'users'"):
        drawn([(day(0),)], known(0), columns=("date",))


# What the program makes.


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """40 days up to today, of which three are missing; hostile values; other data of a year ago."""
    db = tmp_path_factory.mktemp("pictures") / "my.db"
    now = int(datetime.now(UTC).timestamp()) * 10**6
    lines = []
    for back in (*range(10), *range(13, 40), 400):
        for user in range(3 + back % 7, 60):
            if (user + back) % 3:
                country = HOSTILE[user % len(HOSTILE)]
                made = event(user=f"u{user}", micros=now - back * DAY - 10**6)
                lines.append(json.dumps(json.loads(made) | {"country": country}).encode())
    options = ["--db", db, "--quiet", "--tz", "UTC", "--by", "country"]
    run("import-active-users", *options, stdin=b"\n".join(lines), check=0)
    chat = run("make-data", "chat", check=0).stdout
    run("import-site-activity", "--db", db, "--quiet", stdin=chat, check=0)
    return db


def show(database, *arguments, check=0):
    return run("show-report", "--db", database, *arguments, check=check)


def params(text):
    return [word for each in text.split() for word in ("--param", each)]


CHARTS = [
    "active_users",
    "active_users window=7",
    "active_users window=28 by=country",
    "active_users since=2999-01-01",
    "stickiness by=country",
    "new_returning_resurrected",
    "retention",
    "retention by=day last=100",
    "compare",
    "active_users_by_weekday by=country",
    "site_activity",
    "comments_by_day",
]


@pytest.mark.parametrize("asked", CHARTS)
def test_charts_are_drawn(database, tmp_path, asked):
    name, _, given = asked.partition(" ")
    svg = show(database, name, *params(given), "--format", "svg").stdout
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("role") == "img"
    texts = " ".join(root.itertext())
    title = catalogue.load(name).chart_of(dict(each.split("=") for each in given.split())).title
    assert title in texts and title in root.get("aria-label")
    hrefs = [value for each in root.iter() for key, value in each.items() if "href" in key]
    assert hrefs == [] and b"<script" not in svg
    file = tmp_path / "a.png"
    assert show(database, name, *params(given), "--format", "png", "--output", file).stdout == b""
    png = file.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = [int.from_bytes(png[at : at + 4], "big") for at in (16, 20)]
    asked_for = [2 * float(root.get(name)) for name in ("width", "height")]
    assert all(abs(a - b) <= 2 for a, b in zip(size, asked_for, strict=True))
    piped = show(database, name, *params(given), "--format", "png").stdout
    assert piped == png


def test_the_picture_says_what_is_not_plain(database):
    svg = show(
        database, *["active_users", "--param", "window=28", "--format", "svg", "--target", "1234"]
    )
    texts = list(ElementTree.fromstring(svg.stdout).itertext())
    assert "target 1,234" in texts
    label = ElementTree.fromstring(svg.stdout).get("aria-label")
    assert re.search(r"dashed, pale: fewer than 28 days known \(25 of 28 days known on ", label)
    assert "provisional" in label and "no data on" in label


class Page(HTMLParser):
    """The cells of a page's table, all its tags and attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.values, self.rows, self.within = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.values += [(tag, *each) for each in attributes]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.within = tag

    def handle_endtag(self, tag):
        if tag == self.within:
            self.within = None

    def handle_data(self, data):
        if self.within:
            self.rows[-1][-1] += data


@pytest.mark.parametrize(
    "asked", [*CHARTS, "runs", "site_activity_by_day", "retention field=country"]
)
def test_a_page_has_the_numbers_and_needs_nothing(database, asked):
    name, _, given = asked.partition(" ")
    text = show(database, name, *params(given), "--format", "html").stdout.decode()
    page = Page(text)
    asked_csv = show(database, name, *params(given), "--format", "csv", "--raw").stdout.decode()
    head, *rows = csv.reader(io.StringIO(asked_csv, newline=""))
    assert page.rows[0] == head and len(page.rows) == len(rows) + 1
    for ours, theirs in zip(page.rows[1:], rows, strict=True):
        for cell, expected in zip(ours, theirs, strict=True):
            if re.fullmatch(r"-?[\d,]+(\.\d+)?", cell) and not re.fullmatch(r"\d+", expected):
                cell = cell.replace(",", "")
            assert cell.replace(",", "") == expected or cell == render.one_line(expected)
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(page.tags)
    for tag, attribute, value in page.values:
        assert attribute not in ("src", "href", "xlink:href", "srcset") and attribute[:2] != "on"
        if attribute != "aria-label":  # (which is a text)
            assert "://" not in (value or ""), (tag, attribute, value)
    assert "@import" not in text and "@font-face" not in text
    outside = re.sub(r">[^<]*<|aria-label=\"[^\"]*\"", "><", text.split("</style>")[1])
    assert not re.search(r"url\((?!#)", outside)
    assert ("svg" in page.tags) == (asked in CHARTS)


def test_the_page_says_what_is_shown(database):
    arguments = ["active_users", *params("window=7"), "--format", "html"]
    text = show(database, *arguments).stdout.decode()
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    facts = dict(facts)
    assert facts["Parameters"] == "window=7" and facts["Time zone"] == "UTC"
    assert facts["Definition"] == "engaged-valuable" and facts["Made"][:2] == "20"
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_a_page_of_own_sql_escapes_everything(database, tmp_path):
    own = tmp_path / "own.sql"
    texts = ", ".join("'" + text.replace("'", "''") + '\' AS "<b>"' for text in HOSTILE[:2])
    own.write_text(f"-- <i>Own</i> & \u202e\nSELECT {texts}, 9007199254740993 AS big, 12 AS run_id")
    text = show(database, own, "--format", "html").stdout.decode()
    page = Page(text)
    assert not {"script", "b", "i"} & set(page.tags) and "\u202e" not in text
    assert page.rows[1][2:] == ["9,007,199,254,740,993", "12"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("runs --format svg", "runs is not a series, so it has no chart"),
        ("runs --format png", "runs is not a series, so it has no chart"),
        ("runs --format html --target 3", "runs is not a series, so it has no chart"),
        ("retention --format svg --target 3", "has a matrix, not a chart with an axis"),
        ("active_users --format csv --target 3", "expected --format chart, svg, png or html"),
        ("--format html", "--format html: expected the NAME of a report"),
        ("retention --format png --param field=country", "name one with value=VALUE"),
    ],
)
def test_wrong_use_is_told(database, arguments, message):
    assert message in show(database, *arguments.split(), check=2).stderr.decode()


def test_a_png_is_not_for_a_terminal(database):
    ours, theirs = pty.openpty()
    command = [BIN / "show-report", "--db", database, "active_users", "--format", "png"]
    try:
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, env=BARE, timeout=60)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 2 and b"expected --output FILE" in done.stderr
