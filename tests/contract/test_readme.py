"""The README says what the programs say, and fits its size."""

from helpers.docs import README, ROOT, render


def test_every_command_in_the_readme_prints_what_it_shows():
    text = README.read_text()
    assert render(text) == text, "run `make docs` and read `git diff`"


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) < 250


def test_the_two_commands_and_nothing_activated():
    text = README.read_text()
    assert "$ make import " in text and "`make test`" in text
    for target in ("import", "test"):
        assert f"\n{target}: " in (ROOT / "Makefile").read_text()
