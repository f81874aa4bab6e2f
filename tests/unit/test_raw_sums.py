"""What was received is written down once; a file that changed or went is found before anything is read."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import pytest

from evalkit.errors import FileError
from evalkit.study.raw_sums import NAME, listed, seal, standing_of, standings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, text in {"고용보험/2019.csv": "a", "고용보험/안/2020.csv": "b", "물가/cpi.csv": "c"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "고용보험" / "~$2019.csv").write_text("temporary")
    (tmp_path / "고용보험" / ".hidden").write_text("hidden")
    return tmp_path


def states(data: Path) -> dict[str, str]:
    return {s.path: s.state for s in standings(data)}


def test_the_list_is_that_of_the_usual_tool(data: Path) -> None:
    seal(data)
    lines = (data / "고용보험" / NAME).read_text(encoding="utf-8").splitlines()
    assert lines == [
        f"{hashlib.sha256(b'a').hexdigest()}  2019.csv",
        f"{hashlib.sha256(b'b').hexdigest()}  안/2020.csv",
    ]
    assert set(states(data).values()) == {"same"}


def test_each_fate_of_a_file_is_told(data: Path) -> None:
    assert set(states(data).values()) == {"unlisted"}
    seal(data)
    (data / "고용보험" / "2019.csv").write_text("A")
    (data / "고용보험" / "2021.csv").write_text("d")
    (data / "물가" / "cpi.csv").unlink()
    assert states(data) == {
        "고용보험/2019.csv": "changed",
        "고용보험/2021.csv": "unlisted",
        "고용보험/안/2020.csv": "same",
        "물가/cpi.csv": "missing",
    }


def test_sealing_never_covers_a_change(data: Path) -> None:
    seal(data)
    before = (data / "고용보험" / NAME).read_bytes()
    (data / "고용보험" / "2019.csv").write_text("A")
    (data / "고용보험" / "2021.csv").write_text("d")
    with pytest.raises(FileError, match=r"2019\.csv.*바뀐 파일"):
        seal(data)
    assert (data / "고용보험" / NAME).read_bytes() == before
    seal(data, again=True)
    assert set(states(data).values()) == {"same"}


def test_new_files_are_added(data: Path) -> None:
    seal(data)
    (data / "고용보험" / "2021.csv").write_text("d")
    assert [s.path for s in seal(data) if s.state == "unlisted"] == ["고용보험/2021.csv"]
    assert set(states(data).values()) == {"same"}


def test_a_name_from_a_mac_is_the_same_name(data: Path) -> None:
    file = data / "물가" / unicodedata.normalize("NFD", "물가지수.csv")
    file.write_text("x")
    seal(data)
    assert unicodedata.normalize("NFC", "물가지수.csv") in listed(data / "물가")
    assert states(data)["물가/" + unicodedata.normalize("NFC", "물가지수.csv")] == "same"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no hash here", "해시와 파일 이름"),
        ("0" * 64 + "  ../../elsewhere", "폴더 밖"),
        ("0" * 64 + "  /etc/hosts", "폴더 밖"),
        ("0" * 64 + "  2019.csv\n" + "1" * 64 + "  2019.csv", "두 번"),
    ],
)
def test_a_bad_list_is_one_sentence_with_its_line(data: Path, line: str, words: str) -> None:
    (data / "고용보험" / NAME).write_text(line + "\n", encoding="utf-8")
    with pytest.raises(FileError, match=words) as caught:
        standings(data)
    assert "행" in str(caught.value.where)


def test_the_standing_of_one_file(data: Path) -> None:
    file = data / "고용보험" / "2019.csv"
    digest = hashlib.sha256(b"a").hexdigest()
    assert standing_of(file, data, digest) == ""
    seal(data)
    assert standing_of(file, data, digest) == "same"
    assert standing_of(file, data, "0" * 64) == "changed"
    assert standing_of(data / "고용보험" / "2022.csv", data, digest) == "unlisted"


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="없음"):
        seal(tmp_path / "nowhere")
