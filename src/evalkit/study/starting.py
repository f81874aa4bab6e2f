"""A programme of one's own: its fact file, plan and data folder, checked before they are put in place.

The files are filled from templates beside the command line, read back by the models that will read them later, and only
then moved: what exists is never overwritten, and a fault leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from evalkit.errors import FileError, UsageError, nearest

Span = tuple[int, int]
_SPAN = re.compile(r"(\d{4})(?:\s*[-–~∼]\s*(\d{4}))?")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_OVERVIEW = "00_programme.ipynb"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is asked of whoever begins.

    Attributes
    ----------
    id : name in files and plans
    phases : first and last year of each phase, in order
    kind : firms | regions | indicators
    regions : short names of provinces; empty = not stated
    """

    id: str
    name: str
    name_en: str
    ministry: str
    phases: tuple[Span, ...]
    kind: str
    regions: tuple[str, ...] = ()


def parse_phases(written: Sequence[str]) -> tuple[Span, ...]:
    """Phases as «2021-2023» or «2024», in order and without overlap.

    Raises
    ------
    UsageError : a text that is no span of years, years that run backward, or phases that overlap
    """
    spans: list[Span] = []
    for text in written:
        found = _SPAN.fullmatch(text.strip())
        if found is None:
            raise UsageError(
                f"단계의 기간 {text.strip()!r} 을(를) 읽을 수 없음", remedy="2021-2023 처럼 적을 것"
            )
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1990 <= first <= 2100 or not 1990 <= last <= 2100:
            raise UsageError(f"연도 {first}–{last} 이(가) 1990–2100 밖임", remedy="연도를 확인할 것")
        if last < first:
            raise UsageError(
                f"단계의 기간 {text.strip()!r} 이(가) 거꾸로임", remedy=f"{last}-{first} 로 적을 것"
            )
        if spans and first <= spans[-1][1]:
            raise UsageError(
                f"{len(spans) + 1}단계({first}–{last}년)가 앞 단계({spans[-1][0]}–{spans[-1][1]}년)와 겹치거나 앞섬",
                remedy="단계는 앞에서 뒤로, 겹치지 않게 적을 것",
            )
        spans.append((first, last))
    return tuple(spans)


def begin(asked: Beginning, *, root: str | Path = ".", folder: str | Path | None = None) -> list[Path]:
    """Write ``plans/<id>.facts.yml``, ``plans/<id>.yml`` and the data folder with its README.

    Parameters
    ----------
    root : folder with ``notebooks`` and ``plans``
    folder : data folder; without it ``data/raw/<id>`` below the root

    Returns
    -------
    the three files, in that order

    Raises
    ------
    UsageError : an id, a region or a name that cannot be used, or a folder that is no project
    FileError : one of the files exists
    """
    root = Path(root)
    _check(asked, root)
    data = Path(folder) if folder is not None else root / "data" / "raw" / asked.id
    targets = [
        root / "plans" / f"{asked.id}.facts.yml",
        root / "plans" / f"{asked.id}.yml",
        data / "README.md",
    ]
    for target in targets:
        if target.exists():
            raise FileError(
                f"파일 {target.name!r} 이(가) 이미 있음",
                where=(str(target.parent),),
                remedy="다른 --id 를 쓰거나 있는 파일을 옮길 것 (덮어쓰지 않음)",
            )
    texts = _texts(asked, root, targets[1], data)
    (root / "plans").mkdir(exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=root / "plans", prefix=".writing-"))
    try:
        for target, text in zip(targets, texts, strict=True):
            (aside / target.name).write_text(text, encoding="utf-8", newline="\n")
        _read_back(aside, asked, targets[1])
        _put(aside, targets)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return targets


def _check(asked: Beginning, root: Path) -> None:
    if not (root / "notebooks").is_dir():
        raise UsageError(
            "여기에는 공책(notebooks)이 없어 계획을 둘 수 없음",
            where=(str(root),),
            remedy="evalkit 폴더에서 실행하거나 --root 로 그 폴더를 적을 것",
        )
    check_id(asked.id)
    check_text("이름", asked.name)
    check_text("영문 이름", asked.name_en)
    check_text("부처", asked.ministry, may_be_empty=True)
    if not asked.phases:
        raise UsageError("단계가 하나도 없음", remedy="--phase 2021-2023 처럼 적을 것")
    check_regions(asked.regions)


def check_id(name: str) -> None:
    """Refuse a name that files and plans cannot bear, or that a built-in programme has (UsageError)."""
    from evalkit.programmes import programmes

    if not _TAG.fullmatch(name):
        raise UsageError(
            f"이름표 {name!r} 을(를) 쓸 수 없음",
            remedy="영문자로 시작하는 영문자·숫자·밑줄 40자까지로 적을 것",
        )
    if name.upper() in programmes():
        raise UsageError(f"이름표 {name!r} 은(는) 이미 있는 사업임", remedy="다른 이름표를 쓸 것")


def check_text(what: str, text: str, *, may_be_empty: bool = False) -> None:
    """Refuse a text of more than one line, or none at all (UsageError)."""
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text) or len(text) > 200:
        raise UsageError(f"{what}에 줄바꿈이 있거나 200자를 넘음", remedy="한 줄로 짧게 적을 것")
    if not may_be_empty and not text.strip():
        raise UsageError(f"{what}이 비어 있음", remedy="사업의 이름을 적을 것")


def check_regions(names: Sequence[str]) -> None:
    """Refuse what is no short name of a province (UsageError)."""
    from evalkit.programmes import ENGLISH

    for name in names:
        if name not in ENGLISH:
            short = next((known for known in ENGLISH if name.startswith(known)), None)
            raise UsageError(
                f"시·도 {name!r} 을(를) 알 수 없음",
                remedy=f"{short} (으)로 적을 것" if short else nearest(name, ENGLISH),
            )


def _texts(asked: Beginning, root: Path, plan: Path, data: Path) -> list[str]:
    """The three texts: facts, plan, README."""
    import jinja2

    from evalkit.programmes import CAPITAL
    from evalkit.simulate.parameters import FIRST_YEAR, LAST_YEAR, PHASE_YEARS

    templates = resources.files("evalkit.cli").joinpath("templates")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: templates.joinpath(name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (YAML and Markdown; texts are quoted by the filter below)
    )
    environment.filters["quoted"] = lambda text: json.dumps(str(text), ensure_ascii=False)
    # the world's first support is in 2018, and an effect takes a year before and the horizon after
    starts, simulated = PHASE_YEARS[1][0], asked.kind == "firms"
    simulated &= all(first >= starts and first + 2 <= LAST_YEAR for first, _ in asked.phases)
    words: dict[str, Any] = {
        "id": asked.id,
        "name": asked.name.strip(),
        "name_en": asked.name_en.strip(),
        "ministry": asked.ministry.strip(),
        "phases": asked.phases,
        "kind": asked.kind,
        "regions": asked.regions,
        "capital": bool(set(asked.regions) & set(CAPITAL)),
        "title_ko": f"{asked.name.strip()} {'지표 모니터링' if asked.kind == 'indicators' else '성과평가'}",
        "title_en": f"{asked.name_en.strip()}: {'monitoring' if asked.kind == 'indicators' else 'evaluation'}",
        "folder_from_plan": json.dumps(_from(plan.parent, data), ensure_ascii=False),
        "simulated": simulated,
        "world_years": (FIRST_YEAR, LAST_YEAR),
        "horizon": min(2, asked.phases[0][1] - asked.phases[0][0]),
        "overview": (root / "notebooks" / _OVERVIEW).is_file(),
    }
    facts = environment.get_template("facts.yml.j2").render(words)
    planned = environment.get_template(f"{asked.kind}.yml.j2").render(words)
    readme = environment.get_template("README.md.j2").render(words, sources=_sources(planned))
    return [facts, planned, readme]


def _from(folder: Path, target: Path) -> str:
    """The data folder as the plan sees it; absolute only on another drive."""
    try:
        return Path(os.path.relpath(target.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return target.resolve().as_posix()


def _sources(planned: str) -> list[dict[str, Any]]:
    """What the README says of each source of the plan: its files, and its columns as declared."""
    from evalkit import strict_yaml
    from evalkit.ingest.sources import SPECS, performance_survey, zones

    several = {"performance_survey": performance_survey.SPECS}
    one = {"zones": zones.DESIGNATION, "zone_distances": zones.DISTANCE}
    found = []
    for name, source in strict_yaml.load(planned)["data"]["sources"].items():
        specs = several.get(name) or (one.get(name) or SPECS[source["table"]],)
        found.append(
            {
                "shown": _shown(source["files"]),
                "title": " · ".join(dict.fromkeys(spec.title for spec in specs)),
                "required": source.get("required", True),
                "tables": [
                    {
                        "sheet": spec.sheets[0] if spec.sheets else "",
                        "row": spec.row_meaning,
                        "columns": [_column(column) for column in spec.columns],
                    }
                    for spec in specs
                ],
            }
        )
    return found


def _shown(pattern: str) -> str:
    """A pattern of files as a reader understands it."""
    if "[cx][sl]" in pattern:
        return f"`{pattern.replace('[cx][sl]*', 'csv')}` 또는 `{pattern.replace('[cx][sl]*', 'xlsx')}`"
    return f"`{pattern}`"


def _column(column: Any) -> dict[str, str]:
    header = next((a for a in column.aliases if re.search("[가-힣]", a)), column.aliases[0])
    unit = f" ({column.unit})" if column.unit else ""
    year = " (머리글에 연도)" if column.by_year else ""
    meaning = "사업자등록번호 (읽는 순간 암호화함)" if column.kind == "business_number" else column.meaning
    return {
        "header": f"{header}{year}".replace("|", "/"),
        "meaning": f"{meaning}{unit}".replace("|", "/"),
        "required": "예" if column.required else "",
    }


def _read_back(aside: Path, asked: Beginning, plan: Path) -> None:
    """The files as the kit will read them: a fault here leaves nothing behind."""
    from evalkit.programmes import read_programme
    from evalkit.study.build import check_words
    from evalkit.study.plan import load_plan, refuse_second_id

    read_programme(aside / f"{asked.id}.facts.yml")
    loaded = load_plan(aside / f"{asked.id}.yml")
    check_words(loaded)
    refuse_second_id(loaded, plan)


def _put(aside: Path, targets: Sequence[Path]) -> None:
    """Every file in its place, or none: a link refuses where a file has come up meanwhile."""
    made: list[Path] = []
    new_folder = next(
        (p for p in reversed([targets[-1].parent, *targets[-1].parent.parents]) if not p.exists()), None
    )
    try:
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(aside / target.name, target)
            made.append(target)
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        if new_folder is not None and new_folder.is_dir():
            _remove_empty(targets[-1].parent, new_folder)
        raise FileError(
            f"파일을 쓸 수 없음 ({error.strerror or error})",
            where=(str(target.parent), target.name),
            remedy="폴더의 권한과 같은 이름의 파일이 있는지 확인할 것",
        ) from error


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a disk without links, or another disk
        with source.open("rb") as read, target.open("xb") as written:
            shutil.copyfileobj(read, written)


def _remove_empty(folder: Path, last: Path) -> None:
    """Folders that were made for nothing, from the innermost to `last`."""
    while folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        if folder == last:
            return
        folder = folder.parent
