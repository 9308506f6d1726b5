"""Finds the commands in help texts and in the README, with what they say is printed."""

import re
from typing import NamedTuple


class Example(NamedTuple):
    """A command as a user types it, and the output shown under it ("" where none is shown)."""

    command: str
    output: str


def examples(text: str, prompt: str = r"  \$ ") -> list[Example]:
    """Each line that starts with the prompt, with `> ` continuations and the lines below it."""
    margin = " " * (len(prompt.replace("\\", "")) - 2)
    found = []
    for block in re.split(rf"^{prompt}", text, flags=re.M)[1:]:
        lines = block.split("\n")
        command = [lines.pop(0)]
        while lines and lines[0].startswith(f"{margin}> "):
            command.append(lines.pop(0).removeprefix(f"{margin}> "))
        output = []
        while lines and lines[0].startswith(margin) and lines[0].strip() and lines[0] != "```":
            output.append(lines.pop(0)[len(margin) :] + "\n")
        found.append(Example("\n".join(command), "".join(output)))
    return found
