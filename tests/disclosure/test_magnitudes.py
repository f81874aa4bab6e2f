"""No table of the study pages adds firms' values up without saying what single firms add: each table is on a list."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "src" / "evalkit" / "study" / "pages"

# what a table holds that needs nothing said about single firms
EFFECTS = "estimates of regressions, tests and their errors; sums of estimates"
COUNTS = "numbers of firms, rows or cases: `counts` and the threshold rule"
PUBLISHED = "published figures and budgets, with their source; no firm's records"
WORDS = "words, rules, files"
FIRMS = "sums or means over firms: `contributions` must be given"

KINDS = {
    "audit": {"sources row_flow repairs findings linkage": COUNTS, "reported": FIRMS},
    "audit_counting": {"_totals": FIRMS, "_found name_links panel_flow": COUNTS},
    "audit_samples": {"coverage samples": COUNTS},
    "audit_targets": {"targets": WORDS},
    # the gross column of `gross_and_net` is the published figure, as are those of jobs_tables
    "comparison": {"answer tests gross_and_net": EFFECTS},
    "comparison_checks": {"variants naive borders": EFFECTS},
    "comparison_mix": {"split_cells _grouped": EFFECTS},
    # costs by phase are budgets; recorded grants enter as the ratio of an effect to the sum over a whole phase's firms
    "comparison_paths": {"counts": COUNTS, "effects _cost_table": EFFECTS},
    "design_balance": {"balance_table": FIRMS},
    "design_compared": {"estimand": WORDS, "by_cluster": COUNTS},
    "design_power": {"families": EFFECTS},
    "effect_design": {"balance_table": FIRMS, "checks known": EFFECTS},
    "effect_numbers": {"event_table inference_table": EFFECTS},
    "flow": {"flow_table": COUNTS},
    "jobs_tables": {"reported_table": PUBLISHED},
    "measures": {"line_table": EFFECTS},
    "monitoring": {"table pace series": PUBLISHED},
    "monitoring_needs": {"evaluation sources statements": WORDS},
    "opinions_tables": {"table designs refused": EFFECTS},
    "overview": {"results": EFFECTS, "indicators": PUBLISHED},
    "panel_analysis": {"bacon_table": EFFECTS},
    "portfolio": {"parts named": PUBLISHED},
    "programme": {"logic design": WORDS},
    "programme_facts": {"tabulated": PUBLISHED},
    "programme_money": {"budget growth": PUBLISHED},
    "programme_places": {"sites industries beside": PUBLISHED},
    "programme_results": {"outcomes ratios cases targets": PUBLISHED},
    "programme_sources": {"checks every_figure press damage": PUBLISHED},
    "relocation": {"total_outflow draw": COUNTS},
    "relocation_events": {"events claims moved_where": COUNTS},
    "relocation_listed": {"events matrix": COUNTS},
    "robustness": {"at_a_glance": EFFECTS},
    "robustness_choices": {"omitted_table": EFFECTS},
    "robustness_placebos": {"_outcomes _table": EFFECTS},
    "robustness_second": {"second_source": EFFECTS},
    "summary": {"table design": EFFECTS},
    "summary_together": {"families looks": EFFECTS},
    # the reported total in `costs` and `steps` is left out by study.valuing where one or two firms hold it
    "value_costs": {"costs _tiers _funds_table decisions": EFFECTS},
    "value_inputs": {"assumptions": PUBLISHED},
    "value_steps": {"_bands": EFFECTS},
}


def tables_of(path: Path) -> dict[str, list[ast.Call]]:
    """Function -> its calls that make a table."""
    found: dict[str, list[ast.Call]] = {}
    for function in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Tabulation", "tabulated"):
                    found.setdefault(function.name, []).append(node)
    return found


def listed(stem: str) -> dict[str, str]:
    return {name: kind for names, kind in KINDS.get(stem, {}).items() for name in names.split()}


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.py")), ids=lambda path: path.stem)
def test_every_table_says_what_stands_behind_it(path: Path) -> None:
    made, known = tables_of(path), listed(path.stem)
    assert set(made) == set(known), (
        "a new table: put it on the list, and give contributions where it adds firms up"
    )
    for name, calls in made.items():
        for call in calls:
            given = {keyword.arg for keyword in call.keywords}
            totals = any(
                keyword.arg == "statistic" and getattr(keyword.value, "value", "") == "total"
                for inner in ast.walk(call)
                if isinstance(inner, ast.Call)
                for keyword in inner.keywords
            )
            if known[name] == FIRMS or totals:
                assert {"contributions", "counts"} <= given, (path.stem, name)


def test_the_list_names_no_page_that_is_gone() -> None:
    assert set(KINDS) <= {path.stem for path in PAGES.glob("*.py")}
