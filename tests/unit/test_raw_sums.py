"""What was received is written down once; a file that changed or went is found before anything is read."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
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
        ("0" * 64 + "  ./../elsewhere", "폴더 밖"),
        ("0" * 64 + "  2019.csv\n" + "1" * 64 + "  ./2019.csv", "두 번"),
        ("\\" + "0" * 64 + "  a\\tb.csv", "해시와 파일 이름"),
        ("\\" + "0" * 64 + "  a.csv\\", "해시와 파일 이름"),
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


NAMES = [
    "줄\n바꿈.csv",
    "줄\r바꿈\r",
    "\\n.csv",
    "역\\\\빗금\n\\",
    "a\u2028b.csv",
    "a\x0b\x0c\x1c\x85b.csv",
    "끝의 빈칸.csv  ",
    "끝의 넓은 빈칸\u3000",
    "  앞의 빈칸.csv",
    "*별.csv",
    unicodedata.normalize("NFD", "맥에서 온 이름.csv"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_every_name_that_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "물가"
    folder.mkdir()
    (folder / name).write_text("x")
    seal(tmp_path)
    assert listed(folder) == {unicodedata.normalize("NFC", name): hashlib.sha256(b"x").hexdigest()}
    assert set(states(tmp_path).values()) == {"same"}
    assert [s.state for s in seal(tmp_path)] == ["same"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_the_usual_tool_reads_the_list_and_writes_one_that_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "물가"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(name, newline="")
    seal(tmp_path)
    done = subprocess.run(["sha256sum", "-c", "--strict", NAME], cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stdout.count(b": OK\n")) == (0, len(NAMES)), done.stderr
    theirs = subprocess.run(
        ["sha256sum", *(f"./{name}" for name in NAMES)], cwd=folder, capture_output=True, check=True
    )
    ours = listed(folder)
    (folder / NAME).write_bytes(theirs.stdout)
    assert listed(folder) == ours
    assert set(states(tmp_path).values()) == {"same"}


@pytest.mark.parametrize("prefix", ["./", "././", ""])
def test_a_list_from_elsewhere_is_read(data: Path, prefix: str) -> None:
    """With «./», with hashes in capitals, in binary mode, with the line ends of Windows."""
    folder = data / "물가"
    digest = hashlib.sha256(b"c").hexdigest().upper()
    (folder / NAME).write_bytes(f"{digest} *{prefix}cpi.csv\r\n".encode())
    assert listed(folder) == {"cpi.csv": digest.lower()}
    assert states(data)["물가/cpi.csv"] == "same"


def test_one_name_composed_in_two_ways_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "물가"
    folder.mkdir()
    for form in ("NFC", "NFD"):
        (folder / unicodedata.normalize(form, "물가.csv")).write_text(form)
    if len(list(folder.iterdir())) == 1:
        pytest.skip("this file system takes both for one name")
    for step in (seal, standings):
        with pytest.raises(FileError, match=r"'물가\.csv'.*이름을 바꾸"):
            step(tmp_path)
    assert not (folder / NAME).exists()


def test_a_name_in_cp949_is_refused_with_the_name_to_give(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "KOSIS"
    folder.mkdir(parents=True)
    file = folder / os.fsdecode("물가.csv".encode("cp949"))
    try:
        file.write_text("x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    for step in (seal, standings):
        with pytest.raises(FileError, match=r"UTF-8 이 아닌.*'물가\.csv' 처럼") as caught:
            step(tmp_path / "raw")
        assert caught.value.where[0].startswith("KOSIS/\\x")
        caught.value.sentence().encode("utf-8")
    with pytest.raises(FileError, match="UTF-8 이 아닌"):
        standing_of(file, tmp_path / "raw", "0" * 64)
    assert not (folder / NAME).exists()
    file.rename(folder / os.fsdecode(b"\xff.csv"))
    with pytest.raises(FileError, match="이름을 UTF-8 로"):
        seal(tmp_path / "raw")
