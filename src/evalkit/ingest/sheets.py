"""Which sheet of a workbook holds a declared table."""

from __future__ import annotations

from evalkit.errors import SchemaError
from evalkit.ingest.files import RawFile, Sheet
from evalkit.ingest.headers import normal
from evalkit.ingest.table import TableSpec


def choose_sheet(raw: RawFile, spec: TableSpec, wanted: str | None = None) -> Sheet:
    """The sheet asked for, or the one that the declaration names, or the only one.

    Raises
    ------
    SchemaError : no such sheet, or several fit
    """
    names = ", ".join(repr(page.name) for page in raw.sheets)
    if wanted is not None:
        for page in raw.sheets:
            if page.name == wanted or normal(page.name) == normal(wanted):
                return page
        raise SchemaError(
            f"시트 {wanted!r} 이(가) 없음",
            where=(raw.path.name,),
            remedy=f"있는 시트 가운데 고를 것 (있는 시트: {names})",
        )
    filled = [page for page in raw.sheets if page.cells.size]
    for same in (True, False):  # the very name first, then a name that contains it
        found = [
            page
            for page in filled
            if any(
                normal(page.name) == normal(s) if same else normal(s) in normal(page.name)
                for s in spec.sheets
            )
        ]
        if len(found) == 1:
            return found[0]
        if found:
            both = ", ".join(repr(page.name) for page in found)
            raise SchemaError(
                f"시트 {both} 이(가) 모두 {spec.title} 표에 맞음",
                where=(raw.path.name,),
                remedy=f"읽을 시트의 이름을 {spec.sheets[0]!r} (으)로 고칠 것",
            )
    if len(filled) == 1:
        return filled[0]
    wanted_names = " 또는 ".join(repr(name) for name in spec.sheets) or spec.title
    raise SchemaError(
        f"{spec.title} 시트가 없음 (찾은 이름: {wanted_names})",
        where=(raw.path.name,),
        remedy=f"그 시트를 넣거나 시트 이름을 고칠 것 (있는 시트: {names})",
    )
