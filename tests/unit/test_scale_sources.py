"""Large files as sources: formats, encodings, damage, engines that are not there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from national_files import national_frame, written

from evalkit.design import Design
from evalkit.errors import DataError, EvalkitError, FileError, SchemaError, UsageError, ValueProblem
from evalkit.scale import Engine, national_cells, open_engine, open_source, place_cells
from evalkit.scale.variables import numeric

FRAME = national_frame(80, seed=2)
DESIGN = Design("employment", cluster="sido")
WHERE = {"unit": "id", "period": "year"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine("duckdb", memory="500MB", threads=2) as opened:
        yield opened


def korean(frame: pd.DataFrame) -> pd.DataFrame:
    """Headers and one column in Korean."""
    return frame.rename(columns={"employment": "종업원수", "year": "연도"}).assign(
        sido=frame["sido"].map({"11": "서울", "26": "부산", "27": "대구", "29": "광주", "41": "경기"})
    )


# -- text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "separator", "repaired"),
    [("utf-8", ",", 0), ("utf-8-sig", ",", 0), ("cp949", ",", 1), ("cp949", "\t", 1), ("utf-16", "\t", 1)],
)
def test_text_is_the_same_table_in_every_encoding(
    engine: Engine, tmp_path: Path, encoding: str, separator: str, repaired: int
) -> None:
    path = tmp_path / "전국.csv"
    path.write_bytes(korean(FRAME).to_csv(index=False, sep=separator).encode(encoding))
    source = open_source(engine, path)
    assert source.flow[0].rows == len(FRAME)
    assert [repair.before for repair in source.repairs] == [encoding.upper()] * repaired
    design = Design("종업원수", cluster="sido")
    found = national_cells(source, design, unit="id", period="연도").sums
    parquet = open_source(engine, written(korean(FRAME), tmp_path / "a.parquet"))
    again = national_cells(parquet, design, unit="id", period="연도").sums
    assert found.cluster.tolist() == again.cluster.tolist()
    assert found.sums.tolist() == again.sums.tolist()
    assert set(found.cluster) == {"서울", "부산", "대구", "광주", "경기"}


def test_an_encoding_that_shows_late_is_found(engine: Engine, tmp_path: Path) -> None:
    """Korean only behind the first blocks: UTF-8 is tried, fails, and CP949 reads the whole."""
    rows = [f"u{i},2018,한" if i == 30_000 else f"u{i},2018,a" for i in range(30_001)]
    path = tmp_path / "late.csv"
    path.write_bytes(("id,year,name\n" + "\n".join(rows) + "\n").encode("cp949"))
    source = open_source(engine, path)
    assert source.flow[0].rows == 30_001
    names = source.frame(source.table.filter(source.table["id"] == "u30000"))
    assert names["name"].tolist() == ["한"]
    assert not list(engine.folder.glob("*.part"))


def test_numbers_in_text_are_read_with_commas_and_blanks(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        'id,year,region,v\na,2018,11110,"1,234"\nb,2018,11110, 5 \nc,2018,11110,-\nd,2018,11110,\n', "utf-8"
    )
    cells = place_cells(open_source(engine, path), period="year", region="region", values=["v"])
    assert cells[["rows", "v_count", "v_sum", "v_squares"]].to_numpy().tolist() == [
        [4, 2, 1239.0, 1234.0**2 + 25]
    ]


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b"", FileError, r"빈 파일임 \(0바이트\)"),
        (b"\xef\xbb\xbf\r\n", FileError, "빈 파일임"),
        (b"id,year\n", SchemaError, "행이 하나도 없음"),
        (b"id,year,id\na,1,2\n", SchemaError, "머리글 'id' 이"),
        (b"id,,v\na,1,2\n", SchemaError, "비었거나 두 번"),
        (b"id,year\na,2018\nb,2018,9\n", SchemaError, r"\[bad.csv > 3행\] 칸이 3개인데 머리글은 2개임"),
        (b"id,year,v\na,2018,1\nb,20", SchemaError, r"\[bad.csv > 3행\] 칸이 2개인데 머리글은 3개임"),
        (b"id,year\na,\xff\xfe\xfd\n", FileError, "UTF-8, CP949, UTF-16 어느 것으로도 읽을 수 없음"),
        (b"PK\x03\x04rest", FileError, "엑셀이나 압축 파일임"),
    ],
)
def test_damaged_text_is_a_sentence(
    engine: Engine, tmp_path: Path, content: bytes, kind: type[EvalkitError], sentence: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    before = sorted(engine.folder.iterdir())
    with pytest.raises(kind, match=sentence) as caught:
        open_source(engine, path)
    assert "→" in str(caught.value)
    if "행이 하나도" not in sentence:
        assert sorted(engine.folder.iterdir()) == before  # nothing half-written


def test_a_bad_line_far_down_is_named(engine: Engine, tmp_path: Path) -> None:
    lines = ["id,year"] + [f"u{i},2018" for i in range(70_000)]
    lines[65_432] = "u,2018,extra"
    path = tmp_path / "long.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(SchemaError, match="65433행"):
        open_source(engine, path)


# -- Parquet ---------------------------------------------------------------------------------------------


def test_damaged_parquet_is_a_sentence(engine: Engine, tmp_path: Path) -> None:
    whole = written(FRAME, tmp_path / "a.parquet").read_bytes()
    cut, empty, other = (tmp_path / name for name in ("cut.parquet", "empty.parquet", "text.parquet"))
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    empty.write_bytes(b"")
    other.write_bytes(b"id,year\na,2018\n")
    for path, sentence in ((cut, "끝이 잘림"), (empty, "빈 파일임"), (other, "Parquet 파일이 아니거나")):
        with pytest.raises(FileError, match=sentence):
            open_source(engine, path)


def test_a_page_that_is_damaged_inside_is_a_sentence(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "page.parquet"
    FRAME.to_parquet(path, compression="zstd", index=False)
    content = bytearray(path.read_bytes())
    content[50:400] = bytes(350)  # the foot is sound, the first page is not
    path.write_bytes(bytes(content))
    source = open_source(engine, path)
    with pytest.raises(FileError, match="파일을 끝까지 읽지 못함"):
        national_cells(source, DESIGN, **WHERE)


def test_files_of_a_folder_must_agree(engine: Engine, tmp_path: Path) -> None:
    written(FRAME, tmp_path / "a.parquet")
    written(FRAME.drop(columns="w"), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=r"\[b.parquet\] 열 'w' 이\(가\) 어떤 파일에는 있고"):
        open_source(engine, tmp_path)
    written(FRAME.assign(w="x"), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=r"열 'w' 이\(가\) a.parquet 에서는 수, 여기서는 글 임"):
        open_source(engine, tmp_path)


def test_what_is_not_there_is_a_sentence(engine: Engine, tmp_path: Path) -> None:
    written(FRAME, tmp_path / "national.parquet")
    with pytest.raises(FileError, match=r"파일이 없음.*비슷한 이름: national.parquet"):
        open_source(engine, tmp_path / "nationl.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="폴더에 Parquet 이나 CSV 파일이 없음"):
        open_source(engine, tmp_path / "empty")
    with pytest.raises(FileError, match="하나도 주어지지 않음"):
        open_source(engine, [])
    (tmp_path / "a.csv").write_text("id\n1\n", encoding="utf-8")
    with pytest.raises(FileError, match="섞여 있음"):
        open_source(engine, [tmp_path / "a.csv", tmp_path / "national.parquet"])


def test_columns_that_hold_no_numbers(engine: Engine, tmp_path: Path) -> None:
    source = open_source(
        engine, written(FRAME.assign(when=pd.Timestamp("2018-01-01")), tmp_path / "a.parquet")
    )
    with pytest.raises(SchemaError, match=r"종류.*는 수가 아님"):
        numeric(source, "when")
    with pytest.raises(SchemaError, match=r"열 'wehn' 이.*비슷한 이름: when"):
        numeric(source, "wehn")
    text = open_source(engine, written(FRAME.assign(employment="x"), tmp_path / "b.parquet"))
    with pytest.raises(ValueProblem, match="'x' 을"):
        national_cells(text, DESIGN, **WHERE)


# -- engines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "duckbd"}, "셈 엔진 'duckbd' .*비슷한 이름: duckdb"),
        ({"memory": "many"}, "메모리 한도 'many'"),
        ({"memory": "0GB"}, "메모리 한도 '0GB'"),
        ({"threads": 0}, "스레드 수 0"),
    ],
)
def test_options_that_do_not_exist(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        open_engine(**options)


@pytest.mark.parametrize(
    ("engine_name", "absent", "extra"),
    [("duckdb", "ibis", "scale"), ("duckdb", "duckdb", "scale"), ("spark", "pyspark.sql", "spark")],
)
def test_a_missing_part_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, engine_name: str, absent: str, extra: str
) -> None:
    real = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == absent:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(
        UsageError, match=rf"설치되어 있지 않음. → pip install \"evalkit\[{extra}\]\""
    ) as caught:
        open_engine(engine_name)
    assert caught.value.exit_code == 2
    assert ("Java" in str(caught.value)) == (extra == "spark")


def test_importing_the_package_imports_no_engine() -> None:
    asked = "import sys, evalkit.scale; print(sorted({'ibis', 'duckdb', 'pyspark'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_closing_removes_temporary_files(tmp_path: Path) -> None:
    with open_engine("duckdb", memory="200MB", threads=1, folder=tmp_path) as opened:
        place = opened.folder
        path = tmp_path / "a.csv"
        path.write_text("id,year\na,2018\n", encoding="utf-8")
        open_source(opened, path)
        assert list(place.glob("text-0.parquet"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv"]


def test_too_little_memory_is_a_sentence(tmp_path: Path) -> None:
    big = national_frame(4_000, seed=4)
    path = written(big, tmp_path / "a.parquet")
    with (
        open_engine("duckdb", memory="1MB", threads=2, folder=tmp_path) as opened,
        pytest.raises(DataError, match="메모리 1MB 안에서 셈을 마치지 못함"),
    ):
        national_cells(open_source(opened, path), DESIGN, **WHERE)
