"""What is said of a job that has ended: to cron, to a watchman, to a command for failures."""

from __future__ import annotations

import subprocess
import sys
import time

from headcount.errors import Failure
from headcount.io import output
from headcount.operations.jobs import log as job_log
from headcount.operations.jobs import supervise
from headcount.values import clock

_CONNECT = 10  # seconds


def _beat(target: str) -> None:
    """Tell the watchman that the job has succeeded. Raises Failure if he cannot be told.

    The failure does not tell the URL: whoever knows that can say that all is well.
    """
    if not target.startswith(("http://", "https://")):
        output.replace_file(target, f"{time.time():.0f}\n")
        return
    import httpx  # slow to import, and most jobs have no such

    try:
        answer = httpx.get(target, timeout=_CONNECT, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Failure(f"no heartbeat: {error or type(error).__name__}") from None
    if answer.is_error:
        raise Failure(f"no heartbeat: {answer.url.host} answered {answer.status_code}")


def _call(command: str, env: dict[str, str], text: str) -> None:
    """Run --on-failure, with what the job has said as its input."""
    done = subprocess.run(["/bin/sh", "-c", command], input=text.encode(), env=env)
    if done.returncode:
        raise Failure(f"--on-failure: exit status {done.returncode}")


def after(options, outcome: job_log.Outcome, env: dict[str, str], log: job_log.JobLog) -> None:
    """Say what has to be said, to whom it has to be said."""
    problems = [log.problem] if log.problem else []
    try:
        if outcome.status == "done":
            if options.heartbeat:
                _beat(options.heartbeat)
        elif options.on_failure:
            more = {"JOB": options.name, "JOB_STATUS": str(outcome.exit), "JOB_LOG": log.path}
            _call(options.on_failure, env | more, log.tail())
    except Failure as failure:
        problems.append(str(failure))
    if outcome.exit:
        sys.stderr.write(log.tail())
        took = clock.length(outcome.seconds)
        tried = f", {outcome.attempts} attempts" if outcome.attempts > 1 else ""
        why = "its time was up" if outcome.exit == supervise.TIMED_OUT else f"exit {outcome.exit}"
        said = f"{options.name}: {why} after {took}{tried}; see {log.path}"
        print(f"{options.prog}: {said}", file=sys.stderr)
    for problem in problems:
        print(f"{options.prog}: {options.name}: {problem}", file=sys.stderr)
