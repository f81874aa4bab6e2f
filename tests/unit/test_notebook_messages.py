"""Every sentence that a page asks for exists in both languages, and the notebooks say in Korean what the table says."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard, get_args

import pytest

from evalkit.appraisal.decisions import Verdict
from evalkit.appraisal.monitoring import Standing as PathStanding
from evalkit.appraisal.mvpf import COMPONENTS, INPUTS
from evalkit.appraisal.waterfall import Basis as StepBasis
from evalkit.building.claimed_moves import EVIDENCE
from evalkit.building.relocations import DIRECTIONS
from evalkit.building.relocations import STATUS as FATES
from evalkit.checks.grade import EXPECTED, RULES, STARTS
from evalkit.inference.choice import DECISIONS
from evalkit.ingest import SPECS
from evalkit.ingest.audit import SEVERITIES
from evalkit.ingest.sources.performance_survey import FIRM_YEARS, OUTCOMES
from evalkit.present import group_tables
from evalkit.present.messages import FOLDER, placeholders, read_messages
from evalkit.present.writers import workbook
from evalkit.programmes import Label, treatments
from evalkit.programmes.fact_file import BudgetLine, CheckEntry, FactEntry, Logic, Rule
from evalkit.report.index import PLAN_KINDS
from evalkit.report.markdown import translate_markdown
from evalkit.study.comparing_borders import AGAINST, CLASSES
from evalkit.study.comparing_checks import Name as Variant
from evalkit.study.comparing_costs import BASES
from evalkit.study.comparing_samples import PATHS
from evalkit.study.monitoring import Role
from evalkit.study.opinions.result import Standing as Beside
from evalkit.study.outcomes.jobs import FLOWS, SHARES
from evalkit.study.outcomes.panel_methods import CLASSIC, RECENT
from evalkit.study.outcomes.shares import TERMS as SHARE_TERMS
from evalkit.study.pages import effect, monitoring_needs, panel_regressions
from evalkit.study.pages.audit_samples import LIMITS
from evalkit.study.pages.comparison_mix import MOVED, ORDERS, PARTS
from evalkit.study.pages.comparison_paths import ESTIMANDS
from evalkit.study.pages.relocation import CAUSES
from evalkit.study.pages.relocation_events import AREAS
from evalkit.study.pages.spillovers import BORDER_VARIABLES
from evalkit.study.pages.summary import KINDS as SUMMARY_KINDS
from evalkit.study.plan import load_plan
from evalkit.study.plan_credibility import Comparison, Method, Missing, Weighting
from evalkit.study.plan_opinions import OPTIONS as OPINION_KINDS
from evalkit.study.plan_value import Basis as CostBasis
from evalkit.study.plan_value import DecisionPlan
from evalkit.study.programme_files import INDICATORS_SHOWN
from evalkit.study.relocation import Reading
from evalkit.study.specifications import CHOICES
from evalkit.study.trends import Restriction

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = PROJECT / "src" / "evalkit"
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
PLANS = [p for p in sorted((PROJECT / "plans").glob("*.yml")) if not p.name.endswith(".facts.yml")]
MESSAGES = read_messages(FOLDER)
HANGUL = re.compile(r"[가-힣ㄱ-ㅎㅏ-ㅣ]")


# -- prose of the notebooks -------------------------------------------------------------------------


def prose() -> list[tuple[str, str]]:
    """Key and source of every Markdown cell."""
    found = []
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                found.append((f"notebook.{path.stem}.{cell['id']}", "".join(cell["source"])))
    return found


@pytest.mark.parametrize(("key", "source"), prose(), ids=[key for key, _ in prose()])
def test_a_cell_and_its_entry_say_the_same_korean(key: str, source: str) -> None:
    assert key in MESSAGES, f"{key}: notebooks.yml 에 이 셀의 글이 없음"
    assert MESSAGES[key]["ko"] == source.strip()


def test_no_entry_outlives_its_cell() -> None:
    assert {key for key in MESSAGES if key.startswith("notebook.")} == {key for key, _ in prose()}


@pytest.mark.parametrize(("key", "source"), prose(), ids=[key for key, _ in prose()])
def test_a_translation_keeps_the_headings_of_the_cell(key: str, source: str) -> None:
    def levels(text: str) -> list[int]:
        return [len(mark) for mark in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]

    assert levels(MESSAGES[key]["en"]) == levels(source)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_english_notebook_has_no_korean_prose(path: Path) -> None:
    english = translate_markdown(json.loads(path.read_text(encoding="utf-8")), path.stem, "en")
    cells = [cell for cell in english["cells"] if cell["cell_type"] == "markdown"]
    assert cells
    assert all("lang" not in cell["metadata"] for cell in cells)
    assert not [cell["id"] for cell in cells if HANGUL.search("".join(cell["source"]))]


def test_both_languages_of_a_message_take_the_same_values() -> None:
    # particles may repeat a value in Korean, so sets are compared
    differing = {
        key: (placeholders(entry["ko"]), placeholders(entry["en"]))
        for key, entry in MESSAGES.items()
        if placeholders(entry["ko"]) != placeholders(entry["en"])
    }
    assert not differing


def test_no_english_message_holds_hangul() -> None:
    assert not {key: entry["en"] for key, entry in MESSAGES.items() if HANGUL.search(entry["en"])}


# -- keys that the code asks for --------------------------------------------------------------------


def is_call(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    if not isinstance(node, ast.Call) or not node.args:
        return False
    return (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) == name


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if is_call(node, name))


def literals(node: ast.AST) -> set[str]:
    """Every whole string below a node; the pieces of an f-string are none."""
    pieces = {id(part) for f in ast.walk(node) if isinstance(f, ast.JoinedStr) for part in f.values}
    return {
        child.value
        for child in ast.walk(node)
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and id(child) not in pieces
    }


def pattern_of(node: ast.JoinedStr) -> str:
    """An f-string with every hole as a star."""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)


SPACES = {key.split(".")[0] for key in MESSAGES}


LIKE_A_KEY = re.compile(r"(study|finding|clusters|table|sheet|release)(\.\w+)+")


@cache
def asked_in_code() -> tuple[set[tuple[str, str]], dict[str, str]]:
    """Whole keys by place, and f-strings by pattern with one place each: every module read once."""
    keys: set[tuple[str, str]] = set()
    families: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
        pieces = {id(part) for node in joined for part in node.values}
        for node in nodes:
            if is_call(node, "say") and isinstance(node.args[0], ast.Constant | ast.IfExp):
                keys |= {(name, text) for text in literals(node.args[0]) if "." in text}
            text = node.value if isinstance(node, ast.Constant) and id(node) not in pieces else None
            if isinstance(text, str) and LIKE_A_KEY.fullmatch(text):
                keys.add((name, text))
        families |= {pattern_of(node): name for node in joined}
    return keys, families


def asked_keys() -> set[tuple[str, str]]:
    """Whole keys: the first argument of every `say`, and every literal that is written like a key of the study."""
    found = set(asked_in_code()[0])
    for path in sorted((SOURCE / "report" / "template").glob("*.j2")):
        found |= {
            (path.name, key) for key in re.findall(r"say\(\s*[\"']([^\"']+)[\"']", path.read_text("utf-8"))
        }
    return found


def test_every_key_asked_for_exists() -> None:
    asked = asked_keys()
    assert len(asked) > 150
    assert not sorted((place, key) for place, key in asked if key not in MESSAGES)


def asked_families() -> dict[str, str]:
    """Keys with holes, by pattern, with one place each."""
    return {
        pattern: name
        for pattern, name in asked_in_code()[1].items()
        if re.fullmatch(r"[a-z_]+(\.[a-z_*]+)+", pattern) and pattern.split(".")[0] in SPACES
    }


def constants(module: str, call: str, position: int) -> set[str]:
    """String literals given as the argument at `position` to every call of that name in a module."""
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    return {
        text
        for node in calls(tree, call)
        if len(node.args) > position
        for text in literals(node.args[position])
    }


def reasons_of(check: str) -> set[str]:
    """Reason codes of a check, read in its module: arguments of `Check`, values of the table, second of a pair."""
    tree = ast.parse((SOURCE / "checks" / f"{check}.py").read_text(encoding="utf-8"))
    found = set()
    for call in calls(tree, "Check"):
        if len(call.args) > 2 and isinstance(call.args[2], ast.Constant | ast.IfExp):
            found |= {text for text in literals(call.args[2]) if "_" in text or text.isalpha()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            if isinstance(node.value, ast.Subscript) and isinstance(node.value.value, ast.Dict):
                found |= {text for value in node.value.value.values for text in literals(value)}
            if getattr(node.targets[0], "id", "") == "reason" and isinstance(
                node.value, ast.Constant | ast.IfExp
            ):
                found |= literals(node.value)
            if isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Tuple):
                names = [getattr(name, "id", "") for name in node.targets[0].elts]
                if "reason" in names:
                    found |= literals(node.value.elts[names.index("reason")])
    return found


def appended(module: str) -> set[str]:
    return constants(module, "append", 0)


def plans() -> list[Any]:
    return [load_plan(path) for path in PLANS]


def variables() -> set[str]:
    """Variables that a balance table or a coverage table of the plans may name."""
    found = {"sector_group"}
    for plan in plans():
        for outcome in plan.outcomes.values():
            found |= {outcome.variable, *(outcome.covariates or plan.design.covariates)}
        found |= set(plan.units.options.get("variables", ()))
    return found


CLUSTERS = {c for plan in plans() for c in (plan.inference.cluster, plan.inference.companion_cluster) if c}
PRE_TRENDS = reasons_of("pre_trends")
BALANCE = reasons_of("balance")
INFLUENCE = reasons_of("influence")
WAYS = {"up", "down", "flat"}
RULE_CODES = (
    {row.reason for row in DECISIONS}
    | appended("inference/headline.py")
    | {"mixed_clusters", "covered", "not_covered"}
)
VERDICTS = {"pass", "warn", "fail", "unknown"}
GRADES = {rule.code for rule in RULES} | {"selected_support_cap", "description_only"}
GRADES |= {f"starts_{name}" for name in STARTS if name != "description"}
FLOW = (constants("study/sample.py", "drop", 1) | constants("study/sample.py", "FlowStep", 0)) - {"excluded"}
PIVOTAL = {*effect.PIVOTAL, "precision", "unobserved"}

PLACEBO = {
    "no_placebo_effect",
    "placebo_effect_found",
    "placebos_too_wide",
    "some_not_estimated",
    "nothing_estimated",
    "no_error",
}
PLACE = {
    "stands_out",
    "does_not_stand_out",
    "common_among_placebos",
    "too_few_places",
    "nothing_estimated",
}
ANTICIPATION = {
    "no_anticipation_found",
    "effect_before_adoption",
    "conclusion_changes",
    "early_effect_not_estimated",
    "too_few_estimates",
    "no_error",
}
CURVE = {
    "same_answer",
    "consistently_not_significant",
    "sign_turns",
    "mostly_not_significant",
    "joint_not_significant",
    "too_few_assignments",
    "planned_differs",
    "some_failed",
    "nothing_estimated",
    "planned_failed",
    "no_error",
}
OMITTED = {
    "stronger_than_covariates_needed",
    "as_strong_as_a_covariate_overturns",
    "not_significant",
    "no_benchmark",
}
OSTER = {
    "stronger_selection_needed",
    "selection_as_strong_overturns",
    "controls_do_not_move",
    "no_solution",
}
OVERLAP = {
    "overlap_good",
    "few_effective",
    "few_effective_large_pool",
    "much_trimmed",
    "heavy_unit",
}
BREAKDOWN = {"holds_at_one", "breakdown_below_one", "breakdown_below_half", "null_not_excluded"}
# module of the check -> the reasons that its sentences are written for
REASONS: dict[str, set[str]] = {
    "_joint": PLACEBO,
    "placebo_places": PLACE,
    "anticipation": ANTICIPATION,
    "specification_curve": CURVE,
    "omitted_variables": OMITTED,
    "oster": OSTER,
    "overlap": OVERLAP,
    "sensitivity": BREAKDOWN,
}
CHECKED = set(get_args(Restriction)) | {
    "in_time",
    "in_place",
    "in_industry",
    "in_outcomes",
    "left_out",
    "one_unit",
    "anticipation",
    "curve",
    "omitted",
}
LINKED = {
    "stable",
    "moves_much",
    "sign_turns",
    "cannot_be_estimated",
    "no_standard_error",
    "nothing_in_doubt",
}
LINKED_ALIKE = {"linked_alike", "linked_unequally", "one_group_only"}
REASONS["linkage"] = LINKED | LINKED_ALIKE
LEFT_OUT = {name for plan in plans() for name in (*plan.robustness.leave_out, plan.inference.cluster)}

# pattern of a key with holes -> what may stand in the hole; a new family fails here until it is listed
FAMILIES: dict[str, set[str]] = {
    "study.pre_trends.*": PRE_TRENDS,
    "study.balance.*": BALANCE,
    "study.leave_one_out.*": INFLUENCE,
    "study.title.leave_one_out.*": INFLUENCE - {"no_replicates"},
    "study.moved.*": WAYS,
    "study.moved_and.*": WAYS,
    "study.rule.*": RULE_CODES,
    "study.flow.*": FLOW,
    "study.finding.*": set(SEVERITIES),
    "study.grade.*": GRADES,
    "study.verdict.*": VERDICTS,
    "study.sensitivity.*": reasons_of("sensitivity"),
    "study.attrition.*": reasons_of("attrition"),
    "study.spillovers.*": {"ring_left_out", "not_shown"},
    "study.check.*": {"balance", *EXPECTED},
    "study.pivotal.*": PIVOTAL,
    "study.pivot.*": PIVOTAL,
    "study.cluster.*": CLUSTERS,
    "study.inference.*": {"CV3", "CR2", "CV1-W", "CV1", "IF", "none", "wider"},
    "study.limit.*": {key for key, _ in LIMITS},
    "study.variable.*": variables(),
    "study.industries.role.*": {value for _, value in SPECS["industry_targets"].column("role").categories},
    "study.panel.*": {name for plan in plans() for name in plan.units.groups},
    "study.caution.*": {"level", "log", "share"},
    "study.comparison.*": {"more", "less", "unclear"},
    "study.title.comparison_*": {"more", "less", "unclear", "same", "more_unsettled", "less_unsettled"},
    "study.comparison.title_split_*": {"both", "composition", "effect", "none"},
    "study.tests.*": {"differ", "same", "silent"},
    "study.reported.*": set(INDICATORS_SHOWN),
    "finding.claim_*": {"within", "above", "below"},
    "clusters.*": {"min_p", "sign"},
    "clusters.*_below": {"min_p", "sign"},
    "page.banner_*": {"failed", "refused", "simulated", "simulated_in_part"},
    "page.error_*": {"died", "not_started"},
    "index.*": {"ok", "failed", "refused", "outdated"},
    "index.count_*": {"ok", "failed", "refused", "missing"},
    "index.plans_*": set(PLAN_KINDS),
    "overview.plans_*": {"evaluated", "watched", "neither"},
    "release.*": {"note", "caution", "danger"},
    "figure.*": {"before", "after", "treated", "comparison"},
}
FAMILIES |= {
    "study.anticipation.*": ANTICIPATION,
    "study.axis.*": set(get_args(Restriction)),
    "study.choice.*": set(CHOICES),
    "study.counting.column.*": {
        column.name
        for spec in (OUTCOMES, FIRM_YEARS)
        for column in spec.columns
        if column.kind in ("money", "integer")
    }
    | {"attracted"},
    "study.second.*": LINKED | LINKED_ALIKE | {"all", "dropped"},
    "study.second.title_*": LINKED,
    "study.curve.*": CURVE,
    "study.design.*": {"population", "contrast", "horizon", "scale", "method"},
    "study.design.note_weighting.*": {"entropy", "inverse_probability"},
    "study.design.outcome_*": {"level", "trend"},
    "study.design.scale_*": {"level", "log", "share"},
    "study.e_value.*": {"line", "not_significant"},
    "study.group.*": {"level", "outcome"},
    "study.group_of.*": LEFT_OUT,
    "study.left.*": INFLUENCE,
    "study.method.*": set(get_args(Method)),
    "study.omitted.*": OMITTED,
    "study.option.covariates.*": {"planned", "planned_none"},
    "study.oster.*": OSTER,
    "study.overlap.*": OVERLAP,
    "study.place.*": PLACE,
    "study.placebo.*": PLACEBO,
    "study.robust.check.*": CHECKED,
    "study.spending.*": {"obrien_fleming", "pocock"},
    "study.summary.*": {"crossed", "not_crossed"},
    "study.summary.add_*": {"gap", "trend"},
    "study.summary.lead_*": set(SUMMARY_KINDS),
    "study.title.summary_*": {"above", "below", "unclear"},
    "study.title.bend_*": {"holds", "falls"},
    "study.title.curve_*": {"same", "differs", "silent"},
    "study.title.in_place_*": {"out", "common", "silent"},
    "study.title.in_time_*": {"none", "found", "silent"},
    "study.title.trend_*": {"holds", "falls"},
}
FAMILIES |= {
    "overview.cell.*": {"more", "less", "gap", "unclear", "none"},
    "interactive.comparison.*": {"never", "not_yet"},
    "interactive.treated_when.*": {"never", "not_yet"},
    "interactive.base.*": {"universal", "varying"},
    "interactive.link.*": {"levels", "ratios"},
    "interactive.scale.*": {"log", "share"},
    "interactive.inference.*": {"IF", "CV1", "CV3"},
    "interactive.term.*": {
        "average",
        "cohort",
        "period",
        "event_time",
        "term",
        "quantity",
        "estimand",
        "phase",
        "tier",
        "overall",
    },
    "interactive.state.*": {"before", "base", "anticipated", "treated"},
}
VALUE_SIDES = {"above", "below", "unclear"}
FAMILIES |= {
    "study.value.answer.direct_*": VALUE_SIDES,
    "study.value.answer.local_*": VALUE_SIDES,
    "study.value.title.waterfall_*": VALUE_SIDES,
    "study.value.asks.*": set(get_args(DecisionPlan.model_fields["asks"].annotation)),
    "study.value.assumption.*": {"discount", "leakage", "multiplier", "elsewhere", "persistence"},
    "study.value.basis.*": {*get_args(StepBasis), "unknown"},
    "study.value.case.*": constants("study/deciding.py", "_Case", 0),
    "study.value.cost_basis.*": set(get_args(CostBasis)),
    "study.value.decision.*": set(get_args(Verdict)),
    "study.value.driver.*": {"estimation", "leakage", "multiplier", "interaction"},
    "study.value.funds.*": set(COMPONENTS),
    "study.value.input.*": set(INPUTS),
    "study.value.limit.*": {"coverage", "moved", "rings", "repeated", "assumed"},
    "study.value.note.*": {"funds", "funds_elsewhere"},
    "study.value.no_rings.*": {"absent", "not_asked", "contaminated", "not_estimated"},
    "study.value.quantity.*": {"jobs", "job_years_seen", "job_years_planned"},
    "study.value.reach.*": {"direct", "rings"},
    "study.value.set_*": {"complement", "half_line", "whole_line"},
    "study.value.step.*": constants("appraisal/waterfall.py", "Step", 0),
    "study.value.verdict.*": set(get_args(Verdict)),
}
FAMILIES |= {
    "study.monitoring.*": {"baseline", "latest", "target", "read_only", "read_nothing"},
    "study.monitoring.kind_*": {"input", "output", "outcome"},
    "study.monitoring.move_*": {"rise", "fall", "stay"},
    "study.monitoring.needs_*": set(monitoring_needs.NEEDS),
    "study.monitoring.read_*": {"above", "below", "on_path"},
    "study.monitoring.refused_*": {"no_start", "no_target"},
    "study.monitoring.role_*": set(get_args(Role)),
    "study.monitoring.standing_*": set(get_args(PathStanding)),
    "study.monitoring.trust_*": set(get_args(Label)),
}
FAMILIES |= {
    "study.jobs.*": {*FLOWS, *SHARES, "stock", "survival", "zeros", "ipw"},
    "study.jobs.counts_*": {"known", "unclear"},
    "study.jobs.flows_*": {"more", "less", "unclear"},
    "study.jobs.share_*": set(SHARE_TERMS),
    "study.methods.*": {*CLASSIC, *RECENT},
    "study.methods.assumes_*": {*CLASSIC, *RECENT},
    "study.methods.bacon_*": {"treated_vs_never", "earlier_vs_later", "later_vs_earlier", "later_vs_always"},
    "study.methods.dynamic_*": {"lag", "treatment", "refuted", "not_refuted"},
    "study.methods.family_*": {"classic", "recent", "leading"},
    "study.methods.hausman_*": {"fail", "pass"},
    "study.methods.range_*": {"classic", "recent"},
    "study.methods.title_*": {"all", "some"},
    "study.ring.*_total": {"direct", "spillover"},
    "study.ring.border_*": {"stable", "entered", "left", "ring"},
    "study.ring.table_borders_*": set(BORDER_VARIABLES),
    "study.ring.title_*": {"fell", "rose", "mixed", "unclear"},
    "study.ring.unit_*": set(BORDER_VARIABLES),
    "study.sales.margin_*": {
        "total",
        "through_extensive",
        "through_intensive",
        "intensive_lower",
        "intensive_upper",
    },
    "study.sales.margins_*": {"accounting", "bounds"},
}
# the profile of a programme: the choices of a fact file, and the parts of the page
FAMILIES |= {
    f"programme.{family}.*": set(get_args(model.model_fields[field].annotation))
    for family, model, field in (
        ("basis", BudgetLine, "basis"),
        ("fund", BudgetLine, "fund"),
        ("track", BudgetLine, "track"),
        ("result", CheckEntry, "result"),
    )
}
FAMILIES |= {
    "programme.horizon.*": {"same", "other", "open"},
    "programme.lead.*": {"reported", "reported_alone", "targets", "targets_none"},
    "programme.logic.*": set(Logic.model_fields),
    "programme.none.*": constants("study/pages/programme.py", "missing", 1)
    | constants("study/pages/programme_money.py", "missing", 1)
    | constants("study/pages/programme_places.py", "missing", 1)
    | constants("study/pages/programme_results.py", "missing", 1)
    | constants("study/pages/programme_sources.py", "missing", 1),
    "programme.other.*": set(treatments()[0].programmes),
    "programme.rule.*": {*get_args(Rule.model_fields["kind"].annotation), "tier", "stage", "instrument"},
    "programme.status.*": {*get_args(FactEntry.model_fields["status"].annotation), "derived"},
    "programme.title.*": {
        name
        for part in ("", "_money", "_places", "_results", "_sources")
        for name in constants(f"study/pages/programme{part}.py", "tabulated", 1)
    },
}
COMPARED = "study.comparison."
FAMILIES |= {
    f"{COMPARED}basis_*": set(BASES),
    f"{COMPARED}border_*": set(CLASSES),
    f"{COMPARED}border_held_*": set(AGAINST),
    f"{COMPARED}border_short_*": set(CLASSES),
    f"{COMPARED}effect_*": set(ESTIMANDS),
    f"{COMPARED}held_*": set(ESTIMANDS),
    f"{COMPARED}moved_*": set(MOVED),
    f"{COMPARED}note_*": {"add", "cum", "own_last"},
    f"{COMPARED}part_*": {"first", "last", *PARTS, *ORDERS},
    f"{COMPARED}path_*": {*PATHS, "between"},
    f"{COMPARED}split_*": {"both", "composition", "effect", "none"},
    f"{COMPARED}title_borders_*": {"more", "less", "unclear"},
    f"{COMPARED}use_*": {*PATHS, "between"},
    f"{COMPARED}variant_*": set(get_args(Variant)),
    f"{COMPARED}verdict_*": {"same", "both", "silent"},
}
# their holes are filled from literals of the same module, which `test_present_tabulation` renders
ELSEWHERE = {"table.*", "table.repair_*", "study.*.*", "notebook.*.*"}
KINDS = set(OPINION_KINDS) - {"not_identified"}
STANDINGS = {"agree", "agree_shared", "differ", "silent", "both_silent", "only_second", "no_answer"}
FAMILIES |= {
    "study.opinions.verdict.*": STANDINGS,
    "study.opinion.title.*": STANDINGS,
    "study.opinion.kind.*": set(OPINION_KINDS),
    "study.opinion.needs.*": KINDS,
    "study.opinion.refused.*": {"no_variable", "no_untreated_province", "dose_is_size", "other"},
    "study.opinion.standing.*": set(get_args(Beside)),
    "study.opinion.by.*": {"CV3", "CV1-W", "FP-v", "RI-β", "jackknife", "placebo", "exact"},
    "study.opinion.placebo_*": {"differed", "passed"},
    "study.opinion.column.*": {"design", "compares", "identifies", "cannot", "phase", "reason", "needs"},
    "study.opinion.term.*": constants("study/opinions/synthetic.py", "OpinionRow", 0)
    | {"direct", "direct_total", "ring", "spillover", "net", "effect", "total", "slope", "dose_att"}
    | {"contrast", "contrast_jackknife", "placebo", "flow", "zero_sum", "diversion", "exact"},
    "study.relocation.reading.*": set(get_args(Reading)),
    "study.relocation.title.*": set(get_args(Reading)),
    "table.*_of": {"unit", "mark"},
    "study.relocation.area.*": set(AREAS),
    "study.relocation.cause.*": set(CAUSES),
    "study.relocation.evidence.*": {*EVIDENCE, "no_place"} - set(FATES),
    "study.relocation.kind.*": {"headquarters", "branch", "laboratory", "plant", "mou", "unknown"},
    "study.listed.row.*": {"changes", "spac", "counted", *DIRECTIONS},
    "study.listed.column.*": {"destination", "out", "into", "net", "snapshot"},
}
FAMILIES |= {
    "study.methods.has_*": {"no", *panel_regressions.UNIT_EFFECTS.values()}
    | {*panel_regressions.PERIOD_EFFECTS.values()},
    "study.methods.line_*": {"unit_effects", "period_effects", "observations", "treatment"},
    "study.methods.short_*": set(panel_regressions.COLUMNS),
    "study.methods.title_events_*": {"close", "apart", "one"},
    "study.opinion.path_*": {"none", "some", "all"},
    "study.ring.map_*": {"zone", "near", "far"},
}
FAMILIES |= {
    "figure.zones.*": {"zone", "left_out", "compared"},
    "study.region.refused_*": {"treated", "comparison", "time"},
    "study.region.together_*": {"holds", "lost", "wide"},
}
FAMILIES |= {
    "export.*": {"table", "figure"},
    "export.*_word": {"table", "figure", "notes"},
    "page.running_*": {"simulated", "failed", "refused"},
    "side.*": {*get_args(group_tables.Shown), "joint", "joint_n"},
    "workbook.*": {"sheet", "kind", "title", "report", "rows", *workbook._REMARKS},
    "workbook.mark_*": {key for _, key in workbook._MARKS},
}
# two holes: `test_every_pair_of_codes_has_words`
PAIRS = {
    "study.opinion.*.*": {(part, kind) for part in ("compares", "identifies", "cannot") for kind in KINDS},
    "study.option.*.*": {("comparison", option) for option in get_args(Comparison)}
    | {("exclusions", option) for option in ("True", "False")}
    | {("weights", option) for option in get_args(Weighting)}
    | {("missing", option) for option in get_args(Missing)},
    "study.trend.*.*": {(one, reason) for one in get_args(Restriction) for reason in BREAKDOWN}
    | {("smoothness", "no_bend_seen")},
}


def test_every_family_of_keys_is_known() -> None:
    assert set(asked_families()) - ELSEWHERE - set(PAIRS) == set(FAMILIES)


@pytest.mark.parametrize("pattern", sorted(PAIRS))
def test_every_pair_of_codes_has_words(pattern: str) -> None:
    first, second, _ = pattern.split("*")
    asked = {f"{first}{one}{second}{two}" for one, two in PAIRS[pattern]}
    assert not sorted(asked - set(MESSAGES))


@pytest.mark.parametrize("module", sorted(REASONS))
def test_reasons_of_a_check_are_those_that_it_gives(module: str) -> None:
    """Every sentence belongs to a reason that stands in the check's module, and every reason there has its sentence."""
    tree = ast.parse((SOURCE / "checks" / f"{module}.py").read_text(encoding="utf-8"))
    found = literals(tree)
    assert not sorted(REASONS[module] - found)
    given = set()
    for call in calls(tree, "Check"):
        given |= {text for text in literals(call.args[2]) if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}
    assert not sorted(given - REASONS[module] - {"not_computable"})


@pytest.mark.parametrize("pattern", sorted(FAMILIES))
def test_every_code_of_a_family_has_words(pattern: str) -> None:
    codes = FAMILIES[pattern]
    assert codes
    assert not sorted(code for code in codes if pattern.replace("*", code) not in MESSAGES)


def test_codes_were_read_from_the_code() -> None:
    # an extraction that finds nothing would let every family pass
    assert {"no_pre_periods", "not_testable", "trend_found", "low_power", "no_trend_found"} <= PRE_TRENDS
    assert {"no_covariates", "balanced", "adjusted_for"} <= BALANCE
    assert {"no_replicates", "sign_turns", "moves_much", "stable"} <= INFLUENCE
    assert {"enough_clusters", "mixed_clusters", "jackknife_undefined", "jackknife_not_kept"} <= RULE_CODES
    assert {"all", "treated_before", "not_at_baseline", "covariate_missing", "observed_once"} <= FLOW


def test_a_limit_names_a_table_that_exists() -> None:
    assert {spec for _, spec in LIMITS} <= set(SPECS)
