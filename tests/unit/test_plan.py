"""Plans: what is accepted, what is refused and how it is said."""

from pathlib import Path

import pytest
import yaml

from evalkit.errors import FileError, PlanError
from evalkit.study.inputs import fingerprint
from evalkit.study.plan import Plan, is_fact_file, load_plan

PLANS = Path(__file__).resolve().parents[2] / "plans"
NO_COVARIATES = {"label": {"ko": "말", "en": "w"}}


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))


def refuse(tmp_path: Path, raw: dict | str) -> str:
    path = tmp_path / "plan.yml"
    path.write_text(
        raw if isinstance(raw, str) else yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8"
    )
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "path", sorted(p for p in PLANS.glob("*.yml") if not is_fact_file(p)), ids=lambda p: p.stem
)
def test_every_plan_is_valid(path: Path) -> None:
    plan = load_plan(path)
    assert plan.id == path.stem
    assert len({job.name for job in plan.jobs()}) == len(plan.jobs()) > 0
    for job in plan.jobs():
        assert (PLANS.parent / "notebooks" / job.notebook).is_file()


def test_an_unknown_key_names_the_nearest_and_its_place(tmp_path: Path, raw: dict) -> None:
    raw["design"]["covariate"] = ["size"]
    said = refuse(tmp_path, raw)
    assert "행 > design] 모르는 키 'covariate'" in said
    assert "비슷한 이름: covariates" in said


def test_the_rule_may_stand_alone(tmp_path: Path, raw: dict) -> None:
    raw["inference"] = "auto"
    path = tmp_path / "plan.yml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    short = load_plan(path).inference
    raw["inference"] = {"rule": "auto"}
    assert short == Plan.model_validate(raw).inference
    raw["inference"] = "autoo"
    assert "비슷한 이름: auto" in refuse(tmp_path, raw)


def test_an_unknown_key_deep_inside_an_outcome(tmp_path: Path, raw: dict) -> None:
    raw["outcomes"]["jobs"]["scal"] = "log"
    assert "비슷한 이름: scale" in refuse(tmp_path, raw)


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("design", "comparison"), "not_yett", "비슷한 이름: not_yet"),
        (("inference", "level"), 95, "1 미만"),
        (("design", "missing"), "drop", "missing: pairs 로 적을 것"),
        (("phases", 1, "cohorts"), [2020, 2018], "순서"),
        (("phases", 1, "periods"), [2018, 2022], "지원 전 기간"),
        (("outcomes", "jobs", "phases"), [4], "없는 단계 4"),
        (
            ("outcomes", "jobs", "claimed"),
            {4: {"value": 1, "label": {"ko": "말", "en": "w"}, "source": "s"}},
            "claimed",
        ),
        (("outcomes", "jobs", "scale"), "log", "total_unit 을 지울 것"),
        (("data", "simulate", "world"), "nik", "모르는 모의 세계"),
        (("reports",), [{"notebook": "04_summary.ipynb"}] * 2, "두 번 나옴"),
        (("outcomes", "jobs", "variable"), "commercialisation_sales", "사업화 매출"),
        (("horizon",), "둘", "정수"),
        (("id",), "단계", "이름"),
        (("power",), {"effects": {"job": [0, 1]}}, "비슷한 이름: jobs"),
        (("power",), {"effects": {"jobs": [1, 1]}}, "작은 것부터"),
        (("power",), {"effects": {"jobs": [-1, 1]}}, "0 이상"),
        (("power",), {"simulations": 5}, "100 이상"),
        (("inference", "looks"), {"years": [2027, 2025]}, "이른 해부터"),
        (("inference", "looks"), {"years": []}, "하나 이상"),
        (("robustness",), {"sensitivity": {"bounds": [1, 0]}}, "작은 것부터"),
        (("robustness",), {"sensitivity": {"restriction": ["smooth"]}}, "비슷한 이름: smoothness"),
        (("robustness",), {"placebos": {"untargeted": ["가"]}}, "industry"),
        (("robustness",), {"placebos": {"shifts": [0]}}, "1 이상"),
        (("robustness",), {"anticipation": [0, 9]}, "5 이하"),
        (("robustness",), {"anticipation": [1, 0]}, "짧은 것부터"),
        (("robustness",), {"anticipation": [0]}, "둘 이상"),
        (("robustness",), {"specifications": {"method": ["reg", "reg"]}}, "두 번"),
        (
            ("robustness",),
            {
                "specifications": {
                    "covariates": {f"c{k}": NO_COVARIATES for k in range(120)},
                    "anticipation": [0, 1, 2, 3],
                }
            },
            "480개로 400개를 넘음",
        ),
        (("robustness",), {"leaveout": ["sido"]}, "비슷한 이름: leave_out"),
    ],
)
def test_values_that_cannot_be(tmp_path: Path, raw: dict, path: tuple, value: object, word: str) -> None:
    target = raw
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    assert word in refuse(tmp_path, raw)


def test_a_missing_key_a_double_key_and_broken_yaml(tmp_path: Path, raw: dict) -> None:
    text = yaml.safe_dump(raw, allow_unicode=True)
    del raw["question"]
    assert "꼭 필요한 키 'question'" in refuse(tmp_path, raw)
    assert "'id' 이(가) 두 번" in refuse(tmp_path, text + "\nid: again\n")
    assert "[plan.yml > 1행] 여기에서 연 괄호가 닫히지 않았거나" in refuse(tmp_path, "id: [1, 2")
    assert "비어" in refuse(tmp_path, "")


def test_a_plan_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(PlanError, match="innovation_cities"):
        load_plan(PLANS / "innovation_citys.yml")


def test_the_hash_follows_content_not_layout(tmp_path: Path, raw: dict) -> None:
    path = tmp_path / "a.yml"
    path.write_text(
        "# 다른 주석\n" + yaml.safe_dump(raw, allow_unicode=True, sort_keys=True), encoding="utf-8"
    )
    assert load_plan(path).sha256() == load_plan(PLANS / "nic_phase1_vs_phase3.yml").sha256()
    raw["horizon"] = 1
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    assert load_plan(path).sha256() != load_plan(PLANS / "nic_phase1_vs_phase3.yml").sha256()


def test_jobs_leave_out_what_the_plan_leaves_out(raw: dict) -> None:
    raw["outcomes"]["relocation"]["phases"] = [3]
    names = [job.name for job in Plan.model_validate(raw).jobs()]
    assert "02_effect_relocation_phase3" in names
    assert "02_effect_relocation_phase1" not in names


class TestFingerprint:
    def plan(self, tmp_path: Path, raw: dict) -> tuple[Path, Plan]:
        (tmp_path / "plans").mkdir()
        (tmp_path / "notebooks").mkdir()
        path = tmp_path / "plans" / "p.yml"
        path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return path, load_plan(path)

    def test_no_files_means_the_simulated_world(self, tmp_path: Path, raw: dict) -> None:
        path, plan = self.plan(tmp_path, raw)
        assert fingerprint(path, plan).simulated

    def test_files_are_hashed_and_a_byte_changes_the_digest(self, tmp_path: Path, raw: dict) -> None:
        raw["data"]["sources"] = {"panel": {"table": "region_panel", "files": "*.csv"}}
        path, plan = self.plan(tmp_path, raw)
        folder = tmp_path / "data" / "raw"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(b"1")
        (folder / "~$a.csv").write_bytes(b"lock")
        one = fingerprint(path, plan)
        assert not one.simulated
        assert [f.path for f in one.files] == ["a.csv"]
        (folder / "a.csv").write_bytes(b"2")
        assert fingerprint(path, plan).digest != one.digest

    def test_a_required_source_without_files_is_named(self, tmp_path: Path, raw: dict) -> None:
        path, plan = self.plan(tmp_path, raw)
        folder = tmp_path / "data" / "raw" / "고용보험"
        folder.mkdir(parents=True)
        (folder / "x.csv").write_bytes(b"1")
        with pytest.raises(FileError, match="performance_survey"):
            fingerprint(path, plan)

    def test_a_folder_named_by_hand_must_exist_and_hold_files(self, tmp_path: Path, raw: dict) -> None:
        path, plan = self.plan(tmp_path, raw)
        with pytest.raises(FileError, match="없음"):
            fingerprint(path, plan, tmp_path / "nowhere")
        with pytest.raises(FileError, match="하나도 없음"):
            fingerprint(path, plan, tmp_path)


def test_a_copied_plan_needs_an_id_of_its_own(tmp_path: Path, raw: dict) -> None:
    text = yaml.safe_dump(raw, allow_unicode=True)
    (tmp_path / "one.yml").write_text(text, encoding="utf-8")
    load_plan(tmp_path / "one.yml")
    assert "id 'nic_phase1_vs_phase3' 을(를) one.yml 도 씀" in refuse(tmp_path, text)


@pytest.mark.parametrize("changes", [{"scale": "log"}, {"unit": {"ko": "%", "en": "per cent"}}])
def test_log_of_one_plus_y_is_never_percent(tmp_path: Path, raw: dict, changes: dict) -> None:
    jobs = raw["outcomes"]["jobs"]
    jobs |= {"variable": "log1p_jobs", "unit": {"ko": "로그점", "en": "log points"}}
    for name in ("total_unit", "total_factor"):
        jobs.pop(name, None)
    (tmp_path / "plan.yml").write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    load_plan(tmp_path / "plan.yml")
    jobs |= changes
    assert "log1p_jobs 은(는) 0 이 있는 값을 로그처럼" in refuse(tmp_path, raw)


def test_a_logarithm_is_no_outcome(tmp_path: Path, raw: dict) -> None:
    raw["outcomes"]["jobs"]["variable"] = "log_jobs"
    assert "scale: log" in refuse(tmp_path, raw)


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("data", "sources", "zones", "table"), "zone", "비슷한 이름: zones"),
        (("units", "options", "ring"), 10, "비슷한 이름: ring_km"),
        (("data", "sources", "zonez"), {"table": "zones", "files": "x.csv"}, "비슷한 이름: zones"),
    ],
)
def test_names_that_no_reader_knows_are_refused_without_reading(
    raw: dict, path: tuple, value: object, word: str
) -> None:
    from evalkit.study.build import check_words

    target = raw
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    with pytest.raises(PlanError, match=word):
        check_words(Plan.model_validate(raw))


class TestFiles:
    plan = TestFingerprint.plan

    def test_a_table_that_no_pattern_reads_is_not_passed_over(self, tmp_path: Path, raw: dict) -> None:
        raw["data"]["sources"] = {"survey": {"table": "performance_survey", "files": "성과조사/*.xls*"}}
        path, plan = self.plan(tmp_path, raw)
        folder = tmp_path / "data" / "raw" / "성과조사"
        folder.mkdir(parents=True)
        (folder / "1단계.xlsx").write_bytes(b"1")
        (folder / "메모.txt").write_bytes(b"1")
        fingerprint(path, plan)
        (folder / "2단계.csv").write_bytes(b"2")
        with pytest.raises(FileError, match=r"성과조사 > 2단계\.csv.*읽지 않는 파일"):
            fingerprint(path, plan)

    def test_names_from_a_mac_are_the_same_names(self, tmp_path: Path, raw: dict) -> None:
        import unicodedata

        raw["data"]["sources"] = {"survey": {"table": "performance_survey", "files": "성과조사/*단계*.xlsx"}}
        path, plan = self.plan(tmp_path, raw)
        folder = tmp_path / "data" / "raw" / unicodedata.normalize("NFD", "성과조사")
        folder.mkdir(parents=True)
        (folder / unicodedata.normalize("NFD", "1단계.xlsx")).write_bytes(b"1")
        assert len(fingerprint(path, plan).files) == 1


def test_choices_of_power_and_robustness_are_hashed(raw: dict) -> None:
    """What a page varies is fixed by the plan: any change of it changes the hash."""
    hashes = {Plan.model_validate(raw).sha256()}
    for changes in (
        {"power": {"simulations": 150}},
        {"robustness": {"leave_out": ["sector_group"]}},
        {"robustness": {"specifications": {"comparison": ["never", "not_yet"]}}},
        {"inference": raw["inference"] | {"strata": "sido"}},
        {"inference": raw["inference"] | {"looks": {"years": [2025, 2026]}}},
    ):
        hashes.add(Plan.model_validate(raw | changes).sha256())
    assert len(hashes) == 6


def test_specifications_multiply(raw: dict) -> None:
    chosen = {
        "comparison": ["never", "not_yet"],
        "covariates": {"none": NO_COVARIATES, "all": NO_COVARIATES | {"variables": ["log_jobs"]}},
        "method": ["reg"],
    }
    plan = Plan.model_validate(raw | {"robustness": {"specifications": chosen}})
    assert plan.robustness.specifications.count == 4
    assert (
        Plan.model_validate(
            {k: v for k, v in raw.items() if k != "robustness"}
        ).robustness.specifications.count
        == 1
    )
