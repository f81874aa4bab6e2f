"""Code blocks of the documentation: found, executed, and their printed output compared with the page.

A block of ``python`` runs in the namespace of its page; a block of ``console`` runs its lines that start with ``$`` in the
page's folder. A block of ``text`` right after either is what must come out, to the letter; ``…`` alone on a line stands for
any number of lines, within a line for any words.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
RUN = ("python", "console")
# what is shown and not run: outputs, files of data and settings (those have tests of their own)
SHOWN = ("text", "yaml", "json", "")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line on which it starts, and the output that the page shows."""

    kind: str
    source: str
    line: int
    expected: str | None = None


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page in order; a block of text belongs to the block before it."""
    found: list[Block] = []
    last_end = 0
    for match in _FENCE.finditer(text):
        kind = match[2].strip()
        if kind.startswith("{"):
            continue
        line = text.count("\n", 0, match.start()) + 1
        between = text[last_end : match.start()].strip()
        if kind == "text" and found and found[-1].kind in RUN and not between:
            before = found[-1]
            found[-1] = Block(before.kind, before.source, before.line, match[3])
        else:
            found.append(Block(kind, match[3], line))
        last_end = match.end()
    return found


def differs(expected: str, printed: str) -> bool:
    """Whether an output is not the one on the page."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in expected.rstrip("\n").splitlines()
    )
    return re.fullmatch(pattern, printed.rstrip("\n") + "\n") is None


def run_page(path: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Every block that can run, with what it printed; the page's blocks share one namespace and one folder."""
    space: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        for block in blocks_of(path.read_text(encoding="utf-8")):
            if block.kind == "python":
                stream = io.StringIO()
                code = compile("\n" * block.line + block.source, str(path), "exec")
                with contextlib.redirect_stdout(stream):
                    exec(code, space)
                yield block, stream.getvalue()
            elif block.kind == "console":
                yield block, "".join(_console(line[2:]) for line in _commands(block.source))


def _commands(source: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", source)
    return [line for line in joined.splitlines() if line.startswith("$ ")]


def _console(line: str) -> str:
    """One command line, without a shell; ``evalkit`` is that of this interpreter.

    A line may end with ``# 종료 코드 3`` where the command must end with another code than 0.
    """
    wanted = re.search(r"# 종료 코드 (\d+)$", line)
    words = shlex.split(line, comments=True)
    if words[0] == "evalkit":
        words[:1] = [sys.executable, "-m", "evalkit"]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=600,
    )
    assert done.returncode == (int(wanted[1]) if wanted else 0), f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout
