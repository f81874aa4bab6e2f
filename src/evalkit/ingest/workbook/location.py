"""Which mapping file a workbook is read with. Light (no pandas), so that what a plan reads can be listed before anything runs.

A mapping is a file, for one workbook or several of one layout, or a folder in which each workbook has its own:
``기관A.xlsx`` is read with ``기관A.map.yml``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from evalkit.errors import FileError, nearest

SUFFIX = ".map.yml"


def mapping_of(mapping: str | Path, workbook: str | Path) -> Path:
    """The mapping file of a workbook.

    Parameters
    ----------
    mapping : a mapping file, or a folder that holds one for each workbook
    workbook : the file to be read

    Raises
    ------
    FileError : no such file, or the folder has none for this workbook
    """
    mapping, workbook = Path(mapping), Path(workbook)
    if mapping.is_file():
        return mapping
    wanted = own_name(workbook)
    if not mapping.is_dir():
        near = [p.name for p in mapping.parent.glob("*.y*ml")] if mapping.parent.is_dir() else []
        raise FileError(
            "열 대응 파일이 없음",
            where=(mapping.name,),
            remedy=f"경로를 확인하거나 evalkit ingest guess 로 만들 것 ({nearest(mapping.name, near)})",
        )
    names = {unicodedata.normalize("NFC", path.name): path for path in sorted(mapping.glob("*.y*ml"))}
    if wanted not in names:
        raise FileError(
            f"폴더에 이 파일의 열 대응 파일 {wanted!r} 이(가) 없음",
            where=(mapping.name, workbook.name),
            remedy=f"evalkit ingest guess 로 만들어 그 폴더에 둘 것 ({nearest(wanted, names)})",
        )
    return names[wanted]


def own_name(workbook: str | Path) -> str:
    """Name of a workbook's own mapping file: ``기관A.xlsx`` → ``기관A.map.yml``."""
    return unicodedata.normalize("NFC", Path(workbook).stem) + SUFFIX


def mapping_files(mapping: str | Path, workbooks: Iterable[str | Path]) -> list[Path]:
    """Every mapping file that these workbooks are read with, once each, in order of name.

    Raises
    ------
    FileError : as `mapping_of`
    """
    return sorted({mapping_of(mapping, workbook) for workbook in workbooks})
