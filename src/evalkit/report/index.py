"""The first page of a plan: every report with its state and main result, and the files beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from evalkit.report.frame import make_frame
from evalkit.report.languages import mark_korean
from evalkit.report.page import index_environment, template_values, with_fonts


def render_index(
    context: Mapping[str, Any],
    jobs: Iterable[tuple[str, Mapping[str, Any] | None]],
    on_request: Mapping[str, int] | None = None,
) -> str:
    """The index as HTML.

    Parameters
    ----------
    context : of the plan, as `frame.plan_context` makes it
    jobs : (name, record of its last run or None), in the order of the plan; how long a run took differs each time, so
        it stands in run.json, which the page links: the same inputs must give the same bytes here
    on_request : notebook -> how many of its pages are made only when asked for, and were not
    """
    frame = make_frame(context, title=context["plan"]["title"])
    reports, files, missing = [], [], []
    for name, record in jobs:
        if record is None:
            missing.append(name)
            continue
        kept = ("title", "subtitle", "headline", "state")
        reports.append(
            {key: record[key] for key in kept}
            | {
                "href": f"{name}.html",
                "state_text": frame.say(f"index.{record['state']}"),
                "error": record["sentence"],
            }
        )
        files += list(record["files"])
    values = template_values(
        frame,
        programme=frame.say("index.kind"),
        question=context["question"],
        reports=reports,
        # the page that gathers the others' conclusions, where it was made and not alone
        first=next(
            (
                r
                for r in reports
                if r["state"] in ("ok", "outdated") and r["href"] == "04_summary.html" and len(reports) > 1
            ),
            None,
        ),
        missing=frame.say("index.not_made", count=len(missing), names=", ".join(missing)) if missing else "",
        on_request=[
            frame.say("index.on_request", notebook=notebook, count=count)
            for notebook, count in (on_request or {}).items()
        ],
        groups=_groups(files, frame),
        links=[
            {"href": "disclosure.csv", "label": frame.say("index.disclosure")},
            {"href": "run.json", "label": frame.say("index.run")},
        ],
    )
    return with_fonts(
        mark_korean(index_environment().get_template("index.html.j2").render(page=values), frame.lang)
    )


def _groups(files: Iterable[str], frame: Any) -> list[dict[str, Any]]:
    """Files by folder."""
    titles = {"tables": "page.table", "figures": "page.figure", "notebooks": "index.notebooks"}
    found: dict[str, list[dict[str, str]]] = {}
    for file in sorted(files):
        path = PurePosixPath(file)
        if path.parent.name in titles:
            found.setdefault(path.parent.name, []).append({"href": file, "label": file})
    return [{"title": frame.say(titles[name]), "files": found[name]} for name in titles if name in found]


@dataclass(frozen=True, slots=True)
class ListedPlan:
    """One plan on the first page of all plans: where its index lies and how its reports stand."""

    href: str
    title: str
    question: str
    headline: str
    states: tuple[str, ...]
    simulated: bool
    kind: str = "evaluation"


# what a plan does, in the order of the first page: effects, counts of what happened, indicators without a comparison
PLAN_KINDS = ("evaluation", "counting", "monitoring")


def render_programmes(context: Mapping[str, Any], plans: Sequence[ListedPlan], overview: str) -> str:
    """The first page of all plans as HTML.

    Parameters
    ----------
    context : of the command: lang, command, versions, code; no plan
    overview : address of the page over all plans
    """
    frame = make_frame(context, title=make_frame(context, title="").say("index.programmes"))
    groups = [
        {
            "title": frame.say(f"index.plans_{kind}"),
            # real data before simulated, otherwise as the command named them
            "plans": [
                _listed(plan, frame) for plan in sorted(plans, key=lambda p: p.simulated) if plan.kind == kind
            ],
        }
        for kind in PLAN_KINDS
    ]
    groups = [group for group in groups if group["plans"]]
    values = template_values(frame, programme=frame.say("index.kind"), groups=groups, overview=overview)
    return with_fonts(
        mark_korean(index_environment().get_template("programmes.html.j2").render(page=values), frame.lang)
    )


def _listed(plan: ListedPlan, frame: Any) -> dict[str, Any]:
    """One plan as the template needs it."""
    return {
        "href": plan.href,
        "title": plan.title,
        "question": plan.question,
        "headline": plan.headline,
        "simulated": plan.simulated,
        "state": "ok" if set(plan.states) <= {"ok"} else "failed",
        "states": [
            frame.say(f"index.count_{state}", count=plan.states.count(state))
            for state in ("ok", "failed", "refused", "missing")
            if state in plan.states
        ],
    }
