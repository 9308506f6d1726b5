"""Checkouts in which something is not as it should be."""

import shutil

from helpers.programs import ROOT


def copy_of_checkout(folder):
    """What programs need of this one, to be changed; the environment is shared."""
    for part in ("bin", "lib"):
        shutil.copytree(
            ROOT / part,
            folder / part,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    for name in ("schema.sql", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")  # it looks for headcount beside itself
    return folder
