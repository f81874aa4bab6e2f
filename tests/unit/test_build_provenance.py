"""Processed data know what they were made from; a build reads again only what changed, and never writes a raw file."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from prepared_project import Project

from evalkit import simulate
from evalkit.cli import cli
from evalkit.errors import FileError
from evalkit.study import provenance
from evalkit.study.raw_sums import seal


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    simulate.write(simulate.world(seed=2, firms=200), root / "data" / "raw", root / "truth")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EVALKIT_HASH_KEY", raising=False)
        assert Project(root).prepare().changed
    return root


@pytest.fixture
def tree(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("EVALKIT_HASH_KEY", raising=False)
    return Project(Path(shutil.copytree(made, tmp_path / "tree")))


def call(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    return done.exit_code, done.stdout, done.stderr


def panels(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".npz" or p.name == "audit.json"}


def test_the_record_says_all_that_the_panels_rest_on(tree: Project) -> None:
    folder = tree.processed / "nic"
    record = provenance.read(folder)
    assert record is not None
    for item in record["inputs"]:
        file = tree.root / "data" / "raw" / item["path"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == item["sha256"]
        assert item["bytes"] == file.stat().st_size
    assert {"units.npz", "regions.npz", "audit.json"} <= set(record["outputs"])
    for name, digest in record["outputs"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert len(record["tables"]) > len(record["inputs"]) / 2
    assert sum(table["repairs"] for table in record["tables"]) > 100
    assert record["made_by"]["version"]
    assert len(record["made_by"]["code_sha256"]) == 64
    assert (tree.processed / "identifier.key").read_bytes().hex() not in json.dumps(record)
    assert provenance.verify(folder) == []


def test_only_the_file_that_changed_is_read_again_and_the_panels_are_those_of_a_full_build(
    tree: Project,
) -> None:
    prices = next((tree.root / "data" / "raw" / "물가").glob("*.csv"))
    text = prices.read_text(encoding="utf-8-sig")
    prices.write_text(text.replace("2019,", "2019,1", 1), encoding="utf-8-sig")
    done = tree.prepare()
    assert done.changed
    assert done.read == (prices.name,)
    assert len(done.kept) > 20
    assert done.why == (f"내용이 바뀐 파일: 물가/{prices.name}",)
    partly = panels(done.folder)
    full = tree.prepare(force=True)
    assert full.kept == ()
    assert panels(full.folder) == partly


def test_a_change_of_the_plan_reads_no_file_again(tree: Project) -> None:
    tree.raw["units"]["options"]["ring_km"] = 25
    tree.save()
    done = tree.prepare()
    assert done.changed
    assert done.read == ()
    assert done.why == ("계획의 자료·단위 부분이 바뀜",)


def test_another_key_reads_everything_again(tree: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALKIT_HASH_KEY", "another")
    done = tree.prepare()
    assert done.kept == ()
    assert done.why == ("식별자 암호화 열쇠가 바뀜",)


def test_a_fault_in_one_file_leaves_all_as_it_was(tree: Project) -> None:
    before = panels(tree.processed / "nic")
    record = (tree.processed / "nic" / provenance.NAME).read_bytes()
    prices = next((tree.root / "data" / "raw" / "물가").glob("*.csv"))
    prices.write_text("아무것도 아님\n1\n", encoding="utf-8")
    with pytest.raises(Exception, match=r"물가|머리글|열"):
        tree.prepare()
    assert panels(tree.processed / "nic") == before
    assert (tree.processed / "nic" / provenance.NAME).read_bytes() == record


def test_raw_files_are_only_read(tree: Project) -> None:
    raw = tree.root / "data" / "raw"
    files = sorted(p for p in raw.rglob("*") if p.is_file())
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}
    for path in [raw, *raw.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        tree.prepare(force=True)
    finally:
        for path in [raw, *raw.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
    assert sorted(p for p in raw.rglob("*") if p.is_file()) == files
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files} == before


def test_a_sealed_file_that_changed_stops_the_build(tree: Project) -> None:
    raw = tree.root / "data" / "raw"
    seal(raw)
    assert not tree.prepare().changed  # a list of what was received changes nothing
    assert {f.sealed for f in tree.prepare(force=True).inputs.files} == {"same"}
    prices = next((raw / "물가").glob("*.csv"))
    text = prices.read_bytes()
    prices.write_bytes(text.replace(b"2019,", b"2019,1", 1))
    with pytest.raises(FileError, match="바뀐 파일"):
        tree.prepare()
    prices.write_bytes(text)
    sorted((raw / "국민연금").glob("*.csv"))[0].unlink()  # one of several: nothing else would miss it
    with pytest.raises(FileError, match="없는 파일"):
        tree.prepare()


def test_mapping_files_are_inputs_and_read_what_the_declared_reader_reads(tree: Project) -> None:
    """Guessed, named in the plan, built: the panels are those of the declared reader, byte by byte."""
    before = {
        name: content for name, content in panels(tree.processed / "nic").items() if name != "audit.json"
    }
    tree.raw["data"]["sources"]["performance_survey"]["options"] = {"mapping": "mappings"}
    tree.save()
    with pytest.raises(FileError, match=r"mappings"):
        tree.prepare()
    code, _, err = call("plan", "check", tree.path)
    assert code == 3
    assert "열 대응 파일 'mappings' 이(가) 없음" in err
    folder = tree.path.parent / "mappings"
    folder.mkdir()
    for book in sorted((tree.root / "data" / "raw" / "성과조사").glob("*.xlsx")):
        target = folder / f"{book.stem}.map.yml"
        code, _, err = call("ingest", "guess", book, "--out", target)
        assert code == 0, err
        assert "???" not in target.read_text(encoding="utf-8")
    done = tree.prepare()
    assert len(done.read) == 3
    assert {name: content for name, content in panels(done.folder).items() if name != "audit.json"} == before
    assert any(reason.startswith("새 파일: mapping:mappings/") for reason in done.why)
    target.write_text(target.read_text(encoding="utf-8") + "# 고침\n", encoding="utf-8")
    done = tree.prepare()
    assert done.changed
    assert done.why == (f"내용이 바뀐 파일: mapping:mappings/{target.name}",)
    assert len(done.read) == 1
    tree.raw["data"]["sources"]["performance_survey"]["options"] = {"mapping": f"mappings/{target.name}"}
    tree.save()
    done = tree.prepare()  # one workbook by its mapping, those beside it by the declared reader
    assert [f.path for f in done.inputs.files if f.path.startswith("mapping:")] == [
        f"mapping:mappings/{target.name}"
    ]
    assert {name: content for name, content in panels(done.folder).items() if name != "audit.json"} == before
    text = target.read_text(encoding="utf-8").replace(f"workbook: {book.name}", "workbook: 기관Z.xlsx")
    target.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=r"'기관Z\.xlsx' 이\(가\) 자료에 없음"):
        tree.prepare()


# -- at the terminal ----------------------------------------------------------------------------------


def test_build_says_what_it_did_and_why(tree: Project) -> None:
    code, out, _ = call("build", tree.path)
    assert (code, out.startswith("바뀐 것 없음")) == (0, True)
    prices = next((tree.root / "data" / "raw" / "물가").glob("*.csv"))
    prices.write_bytes(prices.read_bytes().replace(b"2019,", b"2019,1", 1))
    code, out, err = call("build", tree.path, "--check")
    assert code == 3
    assert f"내용이 바뀐 파일: 물가/{prices.name}" in err
    assert "evalkit build nic.yml" in err
    code, out, err = call("build", tree.path)
    assert code == 0
    assert "읽은 파일 1개" in out
    code, out, _ = call("build", tree.path, "--check")
    assert (code, out.startswith("맞음")) == (0, True)


def test_check_finds_an_output_that_someone_changed(tree: Project) -> None:
    panel = tree.processed / "nic" / "units.npz"
    panel.write_bytes(panel.read_bytes() + b"x")
    code, _, err = call("build", tree.path, "--check")
    assert code == 3
    assert "units.npz: 만든 뒤에 바뀜" in err
    panel.unlink()
    assert "units.npz: 없어짐" in call("build", tree.path, "--check")[2]


@pytest.mark.parametrize("name", ["units.npz", "audit.json", "flows"])
def test_panels_that_someone_changed_are_made_again(tree: Project, name: str) -> None:
    """Before a number of them is shown: their inputs and their stamp are as they were."""
    folder = tree.processed / "nic"
    path = folder / name
    if path.is_dir():
        (path,) = sorted(path.glob("*.npz"))[:1]
    before = path.read_bytes()
    path.write_bytes(before + b"x")
    made = tree.prepare()
    assert (made.changed, made.read) == (True, ())
    assert made.why == (f"{path.relative_to(folder).as_posix()}: 만든 뒤에 바뀜",)
    assert path.read_bytes() == before
    assert not tree.prepare().changed


def test_raw_is_sealed_and_verified_at_the_terminal(tree: Project) -> None:
    raw = tree.root / "data" / "raw"
    code, out, _ = call("raw", "seal", raw)
    assert code == 0
    assert "더함" in out
    assert call("raw", "verify", raw)[0] == 0
    file = next((raw / "물가").glob("*.csv"))
    file.write_bytes(file.read_bytes() + b"\n")
    code, out, err = call("raw", "verify", raw)
    assert code == 3
    assert f"내용이 바뀜: 물가/{file.name}" in err
    code, _, err = call("raw", "seal", raw)
    assert code == 3
    assert "--again" in err
    assert call("raw", "seal", raw, "--again")[0] == 0
    assert call("raw", "verify", raw)[0] == 0


def test_supported_firms_that_nobody_insures_are_told(tree: Project) -> None:
    """Another file of the programme whose firms stand in no register: said at the terminal, with the counts."""
    for file in (tree.root / "data" / "raw" / "고용보험").glob("*.csv"):
        rows = file.read_bytes().split(b"\r\n")
        file.write_bytes(b"\r\n".join([rows[0], *rows[1::6]]) + b"\r\n")
    code, _, err = call("build", tree.path)
    assert code == 0
    assert "경고: 1단계 지원 기업" in err
