"""One folder a case: cases/COMMAND/CASE/ with cmd, input, expout, experr, exit.

`cmd` is run by bash in a directory of its own that holds the folder's files; experr and exit may
be missing, and then mean silence and 0. `make accept` rewrites what is expected.
"""

import os
import shutil
import subprocess

import pytest

from helpers.programs import BARE, BIN, ROOT, SHIMS

FOLDER = ROOT / "tests" / "cases"
CASES = sorted(path.parent for path in FOLDER.glob("*/*/cmd"))


@pytest.mark.parametrize(
    "case",
    sorted(path.parent for path in FOLDER.glob("*/*/cmd")),
    ids=lambda p: f"{p.parent.name}-{p.name}",
)
def test_case(case, tmp_path, request):
    shutil.copytree(case, tmp_path, dirs_exist_ok=True)
    env = BARE | {"PATH": f"{BIN}:{BARE['PATH']}:{SHIMS}"}
    done = subprocess.run(
        ["bash", "cmd"], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True
    )
    got = {"expout": done.stdout, "experr": done.stderr, "exit": b"%d\n" % done.returncode}
    quiet = {"expout": b"", "experr": b"", "exit": b"0\n"}
    if request.config.getoption("--accept"):
        for name, content in got.items():
            if content != quiet[name] or name == "expout":
                (case / name).write_bytes(content)
            elif (case / name).exists():
                os.unlink(case / name)
        return
    for name, content in got.items():
        path = case / name
        assert content.decode() == (path.read_bytes() if path.exists() else quiet[name]).decode()


def test_every_program_has_a_case():
    covered = {path.name for path in FOLDER.iterdir()}
    assert covered >= {path.name for path in BIN.iterdir()}
