"""Keeps the README true: reruns its commands and rewrites what they print (`make docs`).

A ```console block holds commands after `$ `, each followed by its output. They run one after the
other in a copy of the project, with bin/ on the PATH. The table of programs comes from --help.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from helpers.examples import examples

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
NOW = "2026-11-23T04:17:03Z"  # stands for every time of day at which a command ran


def programs() -> str:
    """One line per command, as its help says."""
    lines = ["| command | what it does |", "| --- | --- |"]
    for program in sorted((ROOT / "bin").iterdir()):
        text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
        lines.append(f"| `{program.name}` | {text.stdout.splitlines()[2]} |")
    return "\n".join(lines) + "\n"


def project_copy(folder: Path) -> Path:
    """The checkout without its databases, in a place where commands may write."""
    copy = folder / "headcount"
    leave = shutil.ignore_patterns(".git", ".venv", ".bench", "*.db*", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, copy, ignore=leave)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


def console(block: str, copy: Path) -> str:
    """The block with what its commands print now."""
    env = {
        "PATH": f"{copy}/bin:/usr/bin:/bin:{copy}/tests/shims",
        "HOME": str(copy.parent),
        "COLUMNS": "80",
    }
    parts = []
    for command, _ in examples(block, prompt=r"\$ "):
        # as on a terminal: both streams, in their order
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=copy,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # sample data is older
        shown = re.sub(r"20(?!2[0-5])\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", NOW, done.stdout)
        shown = re.sub(r"^make(\[\d+\])?: (Entering|Leaving).*\n", "", shown, flags=re.M)
        parts.append(f"$ {command}\n" + re.sub(r" +$", "", shown, flags=re.M))
    return "".join(parts)


def render(text: str) -> str:
    """The README as it should be."""
    table = r"(<!-- programs -->\n).*?(<!-- end -->)"
    text = re.sub(table, lambda found: found[1] + programs() + found[2], text, flags=re.S)
    with tempfile.TemporaryDirectory() as folder:
        copy = project_copy(Path(folder))
        return re.sub(
            r"(?<=```console\n).*?(?=^```)",
            lambda found: console(found[0], copy),
            text,
            flags=re.S | re.M,
        )


if __name__ == "__main__":
    os.environ.pop("MAKEFLAGS", None)
    README.write_text(render(README.read_text()))
