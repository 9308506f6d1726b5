"""A filter of the pipe dies: nothing is committed."""

import os

import pytest

from faults.one_import.common import (
    DIES,
    SINK_DIES,
    runs,
    tree_with,
    tree_with_broken_rows,
    truth,
)
from helpers.programs import run
from helpers.sessions import (
    stages,
)

by_status = pytest.mark.parametrize("status", [0, 1, 66, 137])


@pytest.mark.sample(10)
@by_status
@pytest.mark.parametrize("how", DIES)
def test_an_import_whose_rows_break_off_commits_nothing(how, status, db, two_files, tmp_path):
    bin = tree_with_broken_rows(tmp_path / "tree", DIES[how].format(status=status))
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, "--jobs", 2, *two_files)
    assert truth(db) == before and not stages(db)
    assert runs(db) == ["done", "failed"]
    assert done.returncode == (1 if "process" in how else status or 1), done.stderr
    assert done.stdout == b"" and done.stderr != b"" and b"Traceback" not in done.stderr

    run("import-active-users", "--db", db, *two_files, check=0)
    assert truth(db)[0] == {"2019-12-31": 1001}


@pytest.mark.sample(2)
@by_status
@pytest.mark.parametrize("how", [how for how in DIES if how not in ("after a row", "half-way")])
def test_a_count_that_breaks_off_fails_and_prints_nothing(how, status, two_files, tmp_path):
    bin = tree_with_broken_rows(tmp_path / "tree", DIES[how].format(status=status))
    done = run(bin / "count-active-users", "--jobs", 2, *two_files)
    assert done.returncode == (1 if "process" in how else status or 1), done.stderr
    assert done.stdout == b"" and b"Traceback" not in done.stderr and (done.stderr or status)


@by_status
def test_a_count_of_sites_that_dies_fails(status, tmp_path):
    text = f"import os\nos._exit({status})\n"
    bin = tree_with(tmp_path / "tree", "lib/headcount/pipelines/site_activity/count.py", text)
    done = run(bin / "count-site-activity", os.devnull)
    assert done.returncode == (status or 1) and done.stdout == b""
    assert status or b"stopped early" in done.stderr


@pytest.mark.sample(3)
@by_status
@pytest.mark.parametrize("how", SINK_DIES)
def test_an_import_with_a_dying_sink_commits_nothing(how, status, db, two_files, tmp_path):
    script = SINK_DIES[how].format(status=status)
    bin = tree_with(tmp_path / "tree", "bin/upsert-rows", script)
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, *two_files)
    assert truth(db) == before and not stages(db)
    assert runs(db) == ["done", "failed"]
    assert done.returncode not in (0, 65)

    run("import-active-users", "--db", db, *two_files, check=0)
    assert truth(db)[0] == {"2019-12-31": 1001}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_lost_row_is_noticed(jobs, db, two_files, tmp_path):
    """Even where everything is read and the status is 0."""
    bin = tree_with_broken_rows(
        tmp_path / "tree",
        r"""
def write(fd, data, *name, write=output.write):
    write(fd, re.sub(rb"\tuser 499(?=[\t\n])", b"", data) if fd == 1 else data, *name)
output.write = write
""",
    )
    before = truth(db)
    done = run(bin / "import-active-users", "--db", db, "--jobs", jobs, *two_files)
    assert done.returncode == 1 and b"1000" in done.stderr and b"999" in done.stderr
    assert truth(db) == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_copied_checkout_works(jobs, two_files, tmp_path):
    """So what fails above fails for its reason."""
    bin = tree_with_broken_rows(tmp_path / "tree", "")
    done = run(bin / "count-active-users", "--jobs", jobs, *two_files, check=0)
    assert done.stdout == b"2019-12-31\t1000\n"
