"""Second designs: what a plan may ask, how an answer stands beside the lead, refusals, and what the page says."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import raw_plan, small_panel, small_study
from world_study import world_study

from evalkit import simulate
from evalkit.errors import PlanError
from evalkit.estimators.tier_effects import tier_contrasts
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.opinions import REGISTRY, Opinion, OpinionRow
from evalkit.study.opinions.gravity import collapsed, within_phase
from evalkit.study.opinions.question import Question
from evalkit.study.opinions.rings import band_words
from evalkit.study.opinions.tiers import TIER, ProvinceEffects, permuted, province_effects, with_tier
from evalkit.study.pages import opinions as page
from evalkit.study.pages import opinions_tables
from evalkit.study.plan import Plan
from evalkit.study.plan_opinions import OPTIONS

WORD = {"ko": "까닭", "en": "because"}
ASKED = {
    "rings": {"design": "rings", "outcome": "jobs", "phase": 1},
    "industries": {
        "design": "target_industries",
        "outcome": "jobs",
        "phase": 1,
        "options": {"scale": "growth"},
    },
    "untreated": {"design": "triple_differences", "outcome": "jobs", "phase": 1},
    "applicants": {"design": "applicants", "outcome": "jobs", "phase": 1},
    "dose": {"design": "dose", "outcome": "jobs", "phase": 1},
    "province": {"design": "dose", "outcome": "jobs", "phase": 1, "options": {"at": "province"}},
    "tiers": {"design": "tiers", "outcome": "jobs", "phase": 3},
    "synthetic": {
        "design": "synthetic",
        "outcome": "relocation",
        "phase": 1,
        "options": {"replications": 60},
    },
    "gravity": {"design": "gravity", "outcome": "relocation", "phase": 1},
    "nowhere": {
        "design": "not_identified",
        "reason": WORD,
        "needs": {"ko": "있어야 할 자료", "en": "data needed"},
    },
}


@pytest.fixture(scope="module")
def world() -> simulate.World:
    return simulate.world(6, firms=1500)


@pytest.fixture(scope="module")
def study(world: simulate.World, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return world_study(tmp_path_factory.mktemp("opinions"), world, ASKED)


# -- the plan ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"design": "rings", "outcome": "jobs", "options": {"band": 1}}, "비슷한 이름: bands"),
        ({"design": "rings", "outcome": "jobs", "options": {"covariates": "x"}}, "'planned', 'none'"),
        ({"design": "rings", "outcome": "jobs", "options": {"bands": []}}, "1 개 이상"),
        ({"design": "dose", "outcome": "jobs", "options": {"degree": 9}}, "3 이하"),
        ({"design": "dose", "outcome": "jobs", "options": 3}, "키와 값의 묶음"),
        ({"design": "rings"}, "outcome 을 적을 것"),
        ({"design": "rings", "outcome": "jobs", "reason": WORD}, "not_identified 에만"),
        ({"design": "not_identified"}, r"reason\(까닭\)과 needs"),
        (
            {"design": "not_identified", "reason": WORD, "needs": WORD, "options": {"a": 1}},
            "options 를 적지 않음",
        ),
        ({"design": "ringz", "outcome": "jobs"}, "rings"),
    ],
)
def test_a_fault_names_what_may_stand_there(asked: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Plan.model_validate(raw_plan(opinions={"one": asked}))


def test_options_are_read_by_kind_and_survive_the_hash() -> None:
    plan = Plan.model_validate(
        raw_plan(opinions={"one": {"design": "rings", "outcome": "jobs", "options": {"bands": ["near"]}}})
    )
    assert json.loads(plan.canonical())["opinions"]["one"]["options"]["bands"] == ["near"]
    again = Plan.model_validate(json.loads(plan.canonical()))
    assert again.sha256() == plan.sha256()
    assert set(OPTIONS) == {*REGISTRY, "not_identified"}


def test_the_schema_knows_the_options_of_each_kind() -> None:
    schema = Plan.model_json_schema()["$defs"]["OpinionPlan"]
    of_kind = {rule["if"]["properties"]["design"]["const"]: rule["then"] for rule in schema["allOf"]}
    assert set(of_kind) == set(OPTIONS)
    assert "bands" in of_kind["rings"]["properties"]["options"]["properties"]


def test_an_unknown_opinion_names_the_nearest(study: Study) -> None:
    with pytest.raises(PlanError, match="비슷한 이름: rings"):
        study.opinion("ringz")


# -- how an answer stands beside the lead -----------------------------------------------------------


def one(low: float, high: float, *, same: bool = True, term: str = "effect", shared: bool = False) -> Opinion:
    row = OpinionRow(
        term, (low + high) / 2, low, high, unit="outcome" if same or term == "contrast" else "percent"
    )
    return Opinion("a", "rings", "jobs", 1, rows=(row,), same_question=same, shares_comparison=shared)


LEAD = {"estimate": 2.0, "conf_low": 1.0, "conf_high": 3.0}
SILENT = {"estimate": 1.0, "conf_low": -1.0, "conf_high": 3.0}


@pytest.mark.parametrize(
    ("opinion", "lead", "standing", "verdict"),
    [
        (one(0.5, 2.5), LEAD, "agrees", "agree"),
        (one(0.5, 2.5, shared=True), LEAD, "agrees", "agree_shared"),
        (one(-1.0, 4.0), LEAD, "silent", "silent"),
        (one(3.5, 5.0), LEAD, "differs", "differ"),  # same unit, no overlap
        (one(3.5, 5.0, same=False), LEAD, "agrees", "agree"),  # another unit: only the side of zero
        (one(-5.0, -1.0, same=False), LEAD, "differs", "differ"),
        (one(-5.0, 0.5), LEAD, "differs", "differ"),  # includes zero, and still does not overlap
        (one(0.5, 2.5), SILENT, "only_second", "only_second"),
        (one(-2.0, 2.5), SILENT, "both_silent", "both_silent"),
        (one(-2.0, 2.5, same=False, term="contrast"), LEAD, "other_question", "no_answer"),
        (one(float("nan"), float("nan")), LEAD, "no_answer", "no_answer"),
        (one(0.5, 2.5), None, "no_answer", "no_answer"),
    ],
)
def test_agreement_goes_by_intervals(
    opinion: Opinion, lead: dict | None, standing: str, verdict: str
) -> None:
    assert opinion.standing(lead) == standing
    assert page.verdict([opinion], lead) == verdict


def test_one_contradiction_outweighs_all_agreement() -> None:
    assert page.verdict([one(0.5, 2.5), one(3.5, 5.0)], LEAD) == "differ"
    assert page.verdict([one(0.5, 2.5, shared=True), one(0.5, 2.5)], LEAD) == "agree"


# -- answers and refusals ---------------------------------------------------------------------------


def test_every_design_answers_or_says_why_not(study: Study) -> None:
    found = study.opinions()
    answered = {name for name, opinion in found.items() if opinion.answered}
    assert answered == {"rings", "industries", "dose", "tiers", "synthetic", "gravity"}
    for name in set(found) - answered:
        refusal = found[name].refusal
        assert refusal is not None
        assert refusal.reason.ko
        assert refusal.needs.ko
        assert not re.search("[가-힣]", refusal.reason.en + refusal.needs.en)
    assert "applicant" in found["applicants"].refusal.reason.ko  # type: ignore[union-attr]
    assert "85.9억원" in found["province"].refusal.reason.ko  # type: ignore[union-attr]
    assert "지원하지 않은 시·도가 없다" in found["untreated"].refusal.reason.ko  # type: ignore[union-attr]
    assert study.opinion("rings") is found["rings"]


def test_rings_add_up_with_their_joint_errors(study: Study) -> None:
    rows = study.opinion("rings").rows
    total = {row.term: row for row in rows if row.unit == "total"}
    assert total["net"].estimate == pytest.approx(total["direct"].estimate + total["spillover"].estimate)
    direct = next(row for row in rows if row.term == "direct" and row.unit == "outcome")
    assert total["direct"].estimate == pytest.approx(direct.estimate * direct.treated)


def test_the_mean_over_amounts_is_the_leading_effect_of_outcome_regression(study: Study) -> None:
    dose, lead = study.opinion("dose").first, study.effect("jobs", 1)
    assert dose.treated == lead.n_treated
    assert dose.estimate == pytest.approx(float(lead.average.values[0]), abs=0.5)
    assert study.opinion("dose").shares_comparison


def test_few_moves_get_an_exact_ratio_and_the_table_behind_it(study: Study) -> None:
    gravity = study.opinion("gravity")
    assert gravity.facts["rare"]
    assert [row.term for row in gravity.rows] == ["exact"]
    flows = within_phase(study.flows(), "zone_adoption", (), (2018, 2020), (2013, 2022))
    table = collapsed(flows)
    assert table.sum() == np.nansum(flows.counts)  # one adoption date: every move stands in one cell
    zone = np.isfinite(flows.constant("adoption_used"))
    assert table[0, 0] == np.nansum(flows.counts[:, zone][:, :, flows.periods >= 2019])


def test_names_of_bands() -> None:
    assert band_words("ring_5_10") == "5–10km"
    assert band_words("near_hub") == "near_hub"


def applicants_panel() -> Panel:
    panel = small_panel()
    adoption = panel.constant("adoption")
    order = np.arange(len(adoption)) % 12
    return panel.with_fixed(applicant=np.where(np.isfinite(adoption) | (order > 8), "1", "0"))


def test_rejected_applicants_replace_the_comparison(tmp_path: Path) -> None:
    asked = {"a": {"design": "applicants", "outcome": "jobs", "phase": 1}}
    panel = applicants_panel()
    found = small_study(tmp_path, panel, opinions=asked).opinion("a")
    applied = panel.constant("applicant") == "1"
    treated = np.isfinite(panel.constant("adoption"))
    assert found.first.comparison == int((applied & ~treated).sum())
    assert found.first.treated == int(treated.sum())
    assert found.first.low < 3 < found.first.high
    assert found.same_question
    assert not found.shares_comparison


# -- the permutation of tiers -----------------------------------------------------------------------


def test_the_permutation_lists_every_labelling_and_its_set_is_the_inverted_test() -> None:
    rng = np.random.default_rng([11, 1])
    high = np.array([True] * 4 + [False] * 4)
    effects = ProvinceEffects(
        np.array(list("abcdefgh")), rng.normal(size=8) + 2.5 * high, rng.integers(5, 30, 8).astype(float),
        np.full(8, 9), high,
    )  # fmt: skip

    def brute(shift: float) -> float:
        def contrast(chosen: tuple[int, ...], value: np.ndarray) -> float:
            inside = np.isin(np.arange(8), chosen)
            w = effects.weight
            return float(
                np.average(value[inside], weights=w[inside]) - np.average(value[~inside], weights=w[~inside])
            )

        value = effects.effect - shift * high
        own = abs(contrast((0, 1, 2, 3), value))
        every = [abs(contrast(chosen, value)) for chosen in itertools.combinations(range(8), 4)]
        return float(np.mean(np.array(every) >= own - 1e-12))

    found = permuted(effects, 0.9)
    assert found.draws == 70
    assert found.p_value == pytest.approx(brute(0.0))
    assert found.smallest_p <= found.p_value
    for edge, outward in ((found.low, -1), (found.high, 1)):
        assert np.isfinite(edge)
        assert brute(edge - outward * 1e-6) > 0.1
        assert brute(edge + outward * 1e-6) <= 0.1 + 1e-12


def test_province_effects_make_up_the_contrast_of_tiers(study: Study) -> None:
    question = Question(study, "tiers", study.plan.opinions["tiers"], "jobs", 3)
    sample = with_tier(question.sample(), "tier")
    provinces = province_effects(sample, 2)
    direct = tier_contrasts(
        sample.panel, sample.design, tier=TIER, level="overall", horizon=2, method="reg", missing="pairs"
    )
    own = float(provinces.contrast(provinces.high[None])[0])
    assert own == pytest.approx(float(direct.values[0]), abs=1e-8)
    assert len(provinces.names) == 14
    assert int(provinces.high.sum()) == 7
    assert study.opinion("tiers").facts["count"] == 3432
    assert study.opinion("tiers").facts["phi"] == pytest.approx(5 / 7)


def test_a_tier_of_one_province_has_no_interval(world: simulate.World, study: Study, tmp_path: Path) -> None:
    """Fourteen provinces with supported firms are no fourteen where a whole tier is one of them."""
    panel = study.panel("units")
    tier, place = panel.constant("tier").astype(str), panel.constant("sido").astype(str)
    alone = np.where(tier == "0", "0", np.where(place == "부산", "2", "1"))
    other = world_study(tmp_path, world, {"tiers": ASKED["tiers"]})
    panel.with_fixed(tier=alone).save(next(tmp_path.rglob("units.npz")))
    rows = {row.term: row for row in other.opinion("tiers").rows}
    assert rows["contrast_jackknife"].why == "one_cluster_on_one_side"
    assert np.isnan([rows["contrast_jackknife"].low, rows["contrast_jackknife"].p_value]).all()
    assert rows["contrast"].low == -np.inf  # fourteen labellings reject nothing at 95 per cent
    even = panel.with_fixed(tier=np.where(tier == "0", "0", "1"))
    even.save(next(tmp_path.rglob("units.npz")))
    again = Study(other.plan, other.plan_path, other.folder, other.inputs, "ko")
    assert "등급이 1가지임" in again.opinion("tiers").refusal.reason.ko


def test_tiers_that_differed_before_there_were_tiers_fail_the_placebo(
    world: simulate.World, study: Study, tmp_path: Path
) -> None:
    """Phase 1 gave every province the same: a difference there is none of the tier."""
    panel = study.panel("units")
    high = panel.constant("tier").astype(str) == "2"
    first = np.asarray(panel.constant("adoption_phase1"), dtype=float)
    more = 40.0 * (high[:, None] & (panel.periods >= first[:, None]))
    other = world_study(tmp_path, world, {"tiers": ASKED["tiers"]})
    panel.with_varying(jobs=panel.values("jobs") + more).save(next(tmp_path.rglob("units.npz")))
    found = {check.detail["phase"]: check for check in other.opinion("tiers").checks}
    assert found[1].verdict == "fail"
    assert found[1].p_value == pytest.approx(2 / 3432)
    assert found[1].statistic > 20
    usual = {check.detail["phase"]: check for check in study.opinion("tiers").checks}
    assert usual[1].verdict == "pass"


# -- the page ---------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list:
    out: list = []
    for module in ("opinions", "opinions_tables"):
        monkeypatch.setattr(
            f"evalkit.study.pages.{module}.show", lambda *items: out.extend(i for i in items if i)
        )
    return out


def test_the_page_answers_first_and_lists_what_is_refused(study: Study, shown: list) -> None:
    page.answer(study, "jobs")
    text = str(shown[0])
    assert text.startswith("- **1단계(2018–20): ")
    assert "답하지 못한 설계는 4개" in text  # as many as the table of refusals has rows
    assert "발전단계 사이의 차이는 대표 설계와 다른 것을 재므로" in text
    shown.clear()
    page.tables(study, "jobs")
    page.designs(study, "jobs")
    page.refused(study, "jobs")
    page.figures_all(study, "jobs")
    page.caveats(study, "jobs")
    page.path_figures(study, "relocation")
    names = [item.payload.get("name") for item in shown]
    assert names[:5] == [
        "opinions_jobs_1", "opinions_jobs_3", "opinion_designs_jobs", "opinions_refused_jobs", "opinions_jobs_1",
    ]  # fmt: skip
    refused = shown[3].payload["csv"]
    assert "있어야 할 자료" in refused  # that of the whole programme too
    assert "3,432가지" in shown[2].payload["csv"]
    assert any("플라시보" in str(item) for item in shown)


def test_the_english_page_has_no_korean(world: simulate.World, tmp_path: Path, shown: list) -> None:
    english = world_study(tmp_path, world, ASKED, lang="en")
    page.opening(english, "jobs")
    page.answer(english, "jobs")
    page.refused(english, "jobs")
    page.tables(english, "jobs")
    page.figures_all(english, "jobs")
    for item in shown:
        told = json.dumps({k: v for k, v in item.payload.items() if k != "svg"}, ensure_ascii=False)
        assert not re.search("[가-힣]", told), told[:300]


def test_an_outcome_without_second_designs_says_so(study: Study, shown: list) -> None:
    page.answer(study, "sales")
    assert "다른 설계가 없다" in str(shown[0])


def test_counts_that_one_or_two_firms_make_are_withheld_with_the_answer(study: Study) -> None:
    opinion = next(o for o in study.opinions().values() if o.answered)
    told = replace(opinion, facts={**opinion.facts, "rare": True, "table": "9, 8, 0, 6"})
    assert opinions_tables.thin_counts(study, told) is None
    assert "9, 8, 0, 6건" in opinions_tables.rare_words(study, told)
    thin = replace(told, facts={**told.facts, "table": "11, 5, 1, 5"})
    assert opinions_tables.thin_counts(study, thin) == 1
    assert "11" not in (words := opinions_tables.rare_words(study, thin))
    assert "가렸다" in words
    assert opinions_tables.thin_counts(study, opinion) is None
