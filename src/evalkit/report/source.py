"""Notebook files as they lie on disk: read, identify, strip, check. JSON only; nbformat would cost half a second."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evalkit.errors import NotebookError, PlanError, nearest

Notebook = dict[str, Any]
Cell = dict[str, Any]

_KEPT_NOTEBOOK_METADATA = {"kernelspec", "language_info"}
_KEPT_CELL_METADATA = {"tags", "jupyter"}
KERNELSPEC = {"display_name": "evalkit", "language": "python", "name": "evalkit"}


def read_notebook(path: Path) -> Notebook:
    """The notebook as plain JSON.

    Raises
    ------
    NotebookError : the file is missing, is not JSON, or is not a notebook of format 4
    """
    if not path.is_file():
        known = [p.name for p in path.parent.glob("*.ipynb")] if path.parent.is_dir() else []
        raise NotebookError(
            f"공책 {path.name!r} 이(가) 없음", where=(path.parent.name,), remedy=nearest(path.name, known)
        )
    try:
        nb = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NotebookError(
            "공책을 읽을 수 없음 (JSON 이 아님)", where=(path.name,), remedy="JupyterLab 에서 다시 저장할 것"
        ) from error
    if not isinstance(nb, dict) or nb.get("nbformat") != 4 or not isinstance(nb.get("cells"), list):
        raise NotebookError(
            "nbformat 4 공책이 아님", where=(path.name,), remedy="JupyterLab 에서 새 형식으로 저장할 것"
        )
    return nb


def text_of(cell: Cell) -> str:
    """Source of a cell as one string (on disk it may be a list of lines)."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def tags_of(cell: Cell) -> list[str]:
    """Tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def content_sha256(nb: Notebook) -> str:
    """Hash of what a run depends on: kinds, tags, ids and sources of the cells; outputs and counters do not matter."""
    content = [
        [c.get("cell_type"), c.get("id", ""), tags_of(c), text_of(c).replace("\r\n", "\n")]
        for c in nb["cells"]
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def find_notebook(name: str, *, plan_path: Path, root: Path) -> Path:
    """A notebook named in a plan: beside the plan, below the project, or in ``notebooks/``."""
    places = (root / "notebooks", root, plan_path.resolve().parent)
    for place in places:
        if (place / name).is_file():
            return (place / name).resolve()
    known = sorted(p.name for p in (root / "notebooks").glob("*.ipynb"))
    raise PlanError(
        f"공책 {name!r} 이(가) 없음", where=(plan_path.name, "reports"), remedy=nearest(name, known)
    )


def stripped(nb: Notebook) -> Notebook:
    """A copy without outputs, counters and volatile metadata: what is committed."""
    cells = []
    for index, cell in enumerate(nb["cells"]):
        metadata = {
            k: v for k, v in sorted(cell.get("metadata", {}).items()) if k in _KEPT_CELL_METADATA and v
        }
        clean: Cell = {"cell_type": cell["cell_type"], "id": cell.get("id") or f"cell-{index:02d}"}
        clean["metadata"] = metadata
        if cell["cell_type"] == "code":
            clean |= {"execution_count": None, "outputs": []}
        clean["source"] = text_of(cell).replace("\r\n", "\n").splitlines(keepends=True)
        cells.append(clean)
    return {
        "cells": cells,
        "metadata": {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def serialised(nb: Notebook) -> str:
    """The bytes that Jupyter itself would write (one space, sorted keys, final newline)."""
    return json.dumps(nb, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def strip_file(path: Path) -> bool:
    """Strip a notebook in place; True when the file changed."""
    before = path.read_text(encoding="utf-8-sig")
    after = serialised(stripped(read_notebook(path)))
    if before == after:
        return False
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(after, encoding="utf-8", newline="\n")
    temporary.replace(path)
    return True


def faults(path: Path) -> list[str]:
    """What keeps a notebook from being committed, as Korean clauses; empty when it is clean."""
    nb = read_notebook(path)
    found = []
    if any(c.get("outputs") for c in nb["cells"]):
        found.append("출력이 들어 있음")
    if any(c.get("execution_count") is not None for c in nb["cells"] if c["cell_type"] == "code"):
        found.append("실행 번호가 들어 있음")
    ids = [c.get("id") for c in nb["cells"]]
    if None in ids or len(set(ids)) != len(ids):
        found.append("셀 id 가 없거나 겹침")
    if sum("parameters" in tags_of(c) for c in nb["cells"]) != 1:
        found.append("parameters 꼬리표가 붙은 셀이 하나가 아님")
    if set(nb.get("metadata", {})) - _KEPT_NOTEBOOK_METADATA:
        found.append("공책 메타데이터에 불필요한 항목이 있음")
    if not found and path.read_text(encoding="utf-8-sig") != serialised(stripped(nb)):
        found.append("정리된 모양이 아님")
    return found


def notebooks_in(paths: Iterable[Path]) -> list[Path]:
    """The notebooks named, or all of those below the folders named."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
        else:
            found.append(path)
    return found
