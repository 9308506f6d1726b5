"""How much memory a command takes."""

import os
import subprocess
import sys

from helpers.programs import BARE


def peak_memory(*command, stdin=os.devnull, status=0):
    """Megabytes that the largest process of a command took at most.

    A child's peak starts with its parent's, so a small process stands in between.
    """
    script = (
        "import resource, subprocess, sys\n"
        "with open(sys.argv[1], 'rb') as stdin:\n"
        "    done = subprocess.run(sys.argv[2:], stdin=stdin, stdout=subprocess.DEVNULL)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    command = [sys.executable, "-I", "-S", "-c", script, stdin, *command]
    done = subprocess.run(list(map(str, command)), capture_output=True, env=BARE, check=True)
    returned, megabytes = map(int, done.stdout.split())
    assert returned == status, done.stderr
    return megabytes
