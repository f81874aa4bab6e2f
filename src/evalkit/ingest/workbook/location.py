"""Which mapping file a workbook is read with. Light (no pandas), so that what a plan reads can be listed before anything runs.

A mapping is one file or a folder of ``*.map.yml``. A file is for the workbooks that its ``workbook:`` line names; one
without that line is for the workbook of its own name (``기관A.map.yml`` → ``기관A.xlsx``) in a folder, and for any as a
single file. Where many files are read, those that no mapping is for are read by the declared reader.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from evalkit import strict_yaml
from evalkit.errors import FileError, UsageError, nearest

SUFFIX = ".map.yml"


def mapping_of(mapping: str | Path, workbook: str | Path) -> Path:
    """The mapping file of a workbook that needs one: a single file is that one, whatever it names.

    Parameters
    ----------
    mapping : a mapping file, or a folder of them
    workbook : the file to be read

    Raises
    ------
    FileError : no such file; the folder has none for this workbook, or two
    """
    mapping, workbook = Path(mapping), Path(workbook)
    if mapping.is_file():
        return mapping
    found = mapping_for(mapping, workbook)
    if found is None:
        wanted = own_name(workbook)
        raise FileError(
            f"폴더에 이 파일의 열 대응 파일 {wanted!r} 이(가) 없음",
            where=(mapping.name, workbook.name),
            remedy=f"evalkit ingest guess 로 만들어 그 폴더에 두거나, 있는 것의 workbook 줄을 고칠 것 "
            f"({nearest(wanted, [_composed(path.name) for path in _kept_in(mapping)])})",
        )
    return found


def mapping_for(mapping: str | Path, workbook: str | Path) -> Path | None:
    """The mapping file that is for a workbook; None where the declared reader reads it.

    Raises
    ------
    FileError : no such file or folder; two files of a folder are for this workbook
    """
    mapping, name = Path(mapping), Path(workbook).name
    if mapping.is_file():
        patterns = patterns_of(mapping)
        return mapping if not patterns or names(patterns, name) else None
    if not mapping.is_dir():
        near = [p.name for p in mapping.parent.glob("*.y*ml")] if mapping.parent.is_dir() else []
        raise FileError(
            "열 대응 파일이 없음",
            where=(mapping.name,),
            remedy=f"경로를 확인하거나 evalkit ingest guess 로 만들 것 ({nearest(mapping.name, near)})",
        )
    found = [path for path in _kept_in(mapping) if _is_for(path, name)]
    if len(found) > 1:
        raise FileError(
            f"열 대응 파일 {found[0].name} 와(과) {found[1].name} 이(가) 모두 이 파일의 것임",
            where=(mapping.name, name),
            remedy="한쪽의 workbook 줄을 고치거나 그 파일을 다른 곳으로 옮길 것",
        )
    return found[0] if found else None


def patterns_of(path: Path) -> tuple[str, ...]:
    """What the ``workbook:`` line of a mapping file names; nothing where it has none or is at fault (its reader says so)."""
    try:
        raw, _ = strict_yaml.load_with_lines(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, yaml.YAMLError, UsageError, RecursionError):
        return ()
    told = raw.get("workbook") if isinstance(raw, dict) else None
    return tuple(_composed(str(one).strip()) for one in ([told] if isinstance(told, str) else told or ()))


def names(patterns: Iterable[str], workbook: str) -> bool:
    """Whether one of the names or patterns is that of a workbook; a name that came from a Mac (NFD) is the same name."""
    name = _composed(workbook)
    return any(name == one or fnmatchcase(name, one) for one in map(_composed, patterns))


def own_name(workbook: str | Path) -> str:
    """Name of a workbook's own mapping file: ``기관A.xlsx`` → ``기관A.map.yml``."""
    return _composed(Path(workbook).stem) + SUFFIX


def mapping_files(
    mapping: str | Path, workbooks: Iterable[str | Path], others: Iterable[str | Path] = ()
) -> list[Path]:
    """Every mapping file that these workbooks are read with, once each, in order of name.

    Parameters
    ----------
    others : files of other sources, which a folder may serve too

    Raises
    ------
    FileError : as `mapping_for`; a mapping file is for none of the workbooks
    """
    mapping, books = Path(mapping), [Path(workbook) for workbook in workbooks]
    used = sorted({found for book in books if (found := mapping_for(mapping, book)) is not None})
    elsewhere = [] if mapping.is_file() else [Path(other).name for other in others]
    for path in [mapping] if mapping.is_file() else _kept_in(mapping):
        if path not in used and not any(_is_for(path, name) for name in elsewhere):
            patterns = patterns_of(path) or (path.name.removesuffix(SUFFIX),)
            raise FileError(
                f"열 대응 파일이 읽을 파일 {', '.join(map(repr, patterns))} 이(가) 자료에 없음",
                where=(path.name,),
                remedy=f"workbook 줄을 고칠 것 ({nearest(patterns[0], [_composed(book.name) for book in books])})",
            )
    if not used:
        raise FileError(
            "폴더에 열 대응 파일이 하나도 없음",
            where=(mapping.name,),
            remedy=f"evalkit ingest guess 로 만들어 '이름{SUFFIX}' 로 그 폴더에 둘 것",
        )
    return used


def _is_for(path: Path, workbook: str) -> bool:
    patterns = patterns_of(path)
    return names(patterns, workbook) if patterns else _composed(path.name) == own_name(workbook)


def _kept_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
