"""What stands around a report: banner, title, provenance. Built from plain values, so that it can cross processes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.present.phrases import reworded
from evalkit.report.frozen import Frozen, as_rows, deviations
from evalkit.report.page import Frame
from evalkit.report.provenance import code_hash, lock_sha256, package_versions
from evalkit.study.inputs import Inputs
from evalkit.study.plan import Plan

_SHORT = 12


def plan_context(
    plan: Plan, plan_path: Path, root: Path, inputs: Inputs, frozen: Frozen | None, *, lang: str, data: bool
) -> dict[str, Any]:
    """Everything a page says about its plan and inputs, as JSON values."""
    command = ["evalkit", "report", relative(plan_path, root)]
    command += ["--lang", lang] if lang != plan.lang else []
    command += ["--data", "…"] if data else []
    return {
        "lang": lang,
        "plan": {"id": plan.id, "title": plan.title[lang], "sha256": plan.sha256()},
        "question": plan.question[lang],
        "frozen": None if frozen is None else {"date": frozen.date, "sha256": frozen.sha256},
        "deviations": as_rows(deviations(frozen, plan)) if frozen else [],
        "simulated": inputs.simulated,
        "inputs": [{"path": f.path, "bytes": f.bytes, "sha256": f.sha256} for f in inputs.files],
        "seed": plan.data.simulate.seed if inputs.simulated and plan.data.simulate else None,
        "command": command,
        **build_context(root),
    }


def build_context(root: Path) -> dict[str, Any]:
    """What a page says about the software."""
    return {"versions": package_versions(), "code": code_hash(), "lock": lock_sha256(root)}


def relative(path: Path, root: Path) -> str:
    """A path as it is written in the project; only the name when it lies elsewhere."""
    try:
        return path.resolve().relative_to(root).as_posix()
    except ValueError:
        return path.name


def make_frame(
    context: Mapping[str, Any],
    *,
    title: str,
    subtitle: str = "",
    parameters: tuple[Mapping[str, Any], ...] = (),
    notebook: Mapping[str, str] | None = None,
    state: str = "ok",
    index_href: str = "",
    suppressed: Sequence[Mapping[str, str]] | None = None,
) -> Frame:
    """The frame of one page.

    Parameters
    ----------
    suppressed : log of the cells that the page withholds or that the checker should look at; None = not known
    """
    lang = str(context["lang"])
    plan = context.get("plan")
    bare = Frame(lang, title)
    banners = []
    if context.get("simulated"):
        part = context.get("simulated_in_part")
        words = bare.say("page.banner_simulated_in_part" if part else "page.banner_simulated")
        banners.append({"kind": "simulated", "text": words})
    if state in {"failed", "refused"}:
        banners.append({"kind": state, "text": bare.say(f"page.banner_{state}")})
    return Frame(
        lang=lang,
        title=title,
        subtitle=subtitle,
        programme=plan["title"] if plan else "",
        banners=tuple(banners),
        facts=(*_facts(context, bare, notebook), *_withheld(bare, suppressed)),
        parameters=tuple({**row, "comment": reworded(str(row["comment"]), lang)} for row in parameters),
        deviations=tuple(context.get("deviations", ())),
        inputs=tuple(context.get("inputs", ())),
        index_href=index_href,
    )


def _withheld(bare: Frame, suppressed: Sequence[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
    """How many cells the page withholds; which and why stands in the list of the run."""
    if suppressed is None:
        return ()
    flagged = sum(row.get("action") == "flagged" for row in suppressed)
    count = len(suppressed) - flagged
    return ((bare.say("page.withheld"), bare.say("page.withheld_count", count=count, flagged=flagged)),)


def _facts(
    context: Mapping[str, Any], bare: Frame, notebook: Mapping[str, str] | None
) -> tuple[tuple[str, str], ...]:
    """Rows of the footer."""
    plan, frozen = context.get("plan"), context.get("frozen")
    rows: list[tuple[str, str]] = []
    if plan:
        rows.append((bare.say("page.plan"), plan["id"]))
        rows.append((bare.say("page.plan_hash"), plan["sha256"][:_SHORT]))
        if frozen is None:
            rows.append((bare.say("page.frozen"), bare.say("page.not_frozen")))
        else:
            count = len(context["deviations"])
            key = "page.frozen_changed" if count else "page.frozen_on"
            rows.append((bare.say("page.frozen"), bare.say(key, date=frozen["date"], count=count)))
    elif context.get("plans"):
        rows.append((bare.say("page.plan"), ", ".join(context["plans"])))
    else:
        rows.append((bare.say("page.plan"), bare.say("page.no_plan")))
    rows.append((bare.say("page.command"), shlex.join(context["command"]).replace("'…'", "…")))
    if notebook:
        rows.append((bare.say("page.notebook"), f"{notebook['name']} ({notebook['sha256'][:_SHORT]})"))
    rows.append(
        (
            bare.say("page.code_version"),
            f"evalkit {context['versions']['evalkit']} ({context['code'][:_SHORT]})",
        )
    )
    others = [f"{k} {v}" for k, v in context["versions"].items() if k != "evalkit"]
    rows.append((bare.say("page.packages"), ", ".join(others)))
    if context.get("seed") is not None:
        rows.append((bare.say("page.seed"), str(context["seed"])))
    if not context.get("inputs"):
        key = "page.inputs_of_plans" if context.get("plans") else "page.no_inputs"
        rows.append((bare.say("page.inputs"), bare.say(key)))
    return tuple(rows)
