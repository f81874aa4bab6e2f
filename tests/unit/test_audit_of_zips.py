"""A ZIP of data files: the audit looks into it, the other commands say what lies in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from evalkit.cli import cli
from evalkit.errors import FileError
from evalkit.ingest.workbook.guessing import guess

ROWS = [f"{2010 + year},기관{firm},{100 + firm + year}" for firm in range(5) for year in range(4)]
CSV = "\n".join(["연도,기관,매출액", *ROWS]) + "\n"


def packed(folder: Path, members: dict[str, str]) -> Path:
    path = folder / "자료.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_the_audit_reads_every_member_as_it_reads_the_file(tmp_path: Path) -> None:
    broken = CSV + ROWS[0] + "\n"  # one row twice
    (tmp_path / "나.csv").write_text(broken, encoding="utf-8")
    path = packed(tmp_path, {"안/가.csv": CSV, "안/나.csv": broken, "읽어보기.pdf": "x"})
    of_file = CliRunner().invoke(cli, ["audit", str(tmp_path / "나.csv")])
    of_zip = CliRunner().invoke(cli, ["audit", str(path)])
    assert of_file.output.startswith("나.csv: ")
    assert "자료.zip > 안/가.csv: " in of_zip.output
    assert of_zip.output.endswith(of_file.output.replace("나.csv: ", "자료.zip > 안/나.csv: ", 1))
    assert of_zip.exit_code == of_file.exit_code == 3


def test_a_member_that_cannot_be_audited_is_named_with_its_zip(tmp_path: Path) -> None:
    path = packed(tmp_path, {"빈.csv": "연도,기관,매출액\n"})
    done = CliRunner().invoke(cli, ["audit", str(path)])
    assert done.exit_code == 3
    assert "자료.zip > 빈.csv" in done.output


def test_the_others_say_what_lies_inside(tmp_path: Path) -> None:
    path = packed(tmp_path, {f"{name}.csv": CSV for name in "가나다라마"})
    with pytest.raises(FileError, match=r"'가\.csv', '나\.csv', '다\.csv', 그 밖에 2개.*압축을 풀어"):
        guess(path)
    done = CliRunner().invoke(cli, ["ingest", "guess", str(path)])
    assert done.exit_code == 3
    assert "'가.csv'" in done.output
    with pytest.raises(FileError, match="안의 파일: 없음"):
        guess(packed(tmp_path, {"빈 폴더/": ""}))


def test_names_in_cp949_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path, {"XXYY.csv": CSV})
    path.write_bytes(path.read_bytes().replace(b"XXYY", "물가".encode("cp949")))
    with pytest.raises(FileError, match=r"'물가\.csv'"):
        guess(path)
