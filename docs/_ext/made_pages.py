"""Pages made from what the repository holds: the register of methods, the glossary, finished reports."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MADE = "_made"


def method_pages() -> dict[str, str]:
    """Page name -> Markdown: one page a group of methods, and a list of them."""
    from evalkit import methods

    first, *groups = re.split(r"(?m)^## ", methods.page())
    pages = {}
    entries = []
    for k, group in enumerate(groups, start=1):
        title, body = group.split("\n", 1)
        name = f"methods/{k:02d}"
        # within a page of its own a group is the title
        pages[name] = f"# {title.strip()}\n{re.sub(r'(?m)^### ', '## ', body)}"
        entries.append(f"{k:02d}")
    toctree = "\n".join(["```{toctree}", ":maxdepth: 1", "", *entries, "```"])
    pages["methods/index"] = f"{first.strip()}\n\n{toctree}\n"
    return pages


def glossary_page() -> str:
    """The glossary of the repository."""
    return (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")


def gallery_page(reports: Path, site: Path) -> str:
    """Finished reports with a figure each; they are copied beside the site, so that the links work without a network."""
    lines = ["# 보고서 모음", ""]
    runs = sorted(reports.glob("*/run.json"))
    if not runs:
        lines += [
            "아직 만든 보고서가 없다. `python3 run.py report` 뒤에 이 안내서를 다시 만들면 여기에 모인다.",
        ]
        return "\n".join(lines) + "\n"
    lines += [
        "모의 자료로 만든 보고서는 쪽마다 그렇게 적혀 있다. 그 수는 인용할 수 없다.",
        "",
    ]
    if (reports / "index.html").is_file():  # pages lead back to it
        (site / "reports").mkdir(parents=True, exist_ok=True)
        shutil.copy(reports / "index.html", site / "reports")
    for run in runs:
        record = json.loads(run.read_text(encoding="utf-8"))
        plan = record.get("plan", {})
        title = plan.get("title") if isinstance(plan, dict) else ""
        folder = run.parent
        _copy(folder, site / "reports" / folder.name)
        over_all = "전체 사업" if "plans" in record else folder.name
        lines += [f"## {_inline(title or over_all)}", ""]
        if (folder / "index.html").is_file():  # the page over all plans stands alone
            lines += [f'<p><a href="../reports/{folder.name}/index.html">보고서 목록</a></p>', ""]
        for name, job in record.get("jobs", {}).items():
            if job.get("state") != "ok":
                continue
            lines += _entry(folder, name, job)
    return "\n".join(lines) + "\n"


def _entry(folder: Path, name: str, job: dict[str, Any]) -> list[str]:
    title = " · ".join(part for part in (job.get("title", ""), job.get("subtitle", "")) if part)
    href = f"../reports/{folder.name}/{name}.html"
    entry = [f'<p><a href="{href}">{html.escape(title or name)}</a>']
    if job.get("headline"):
        entry.append(f"<br>{html.escape(job['headline'])}")
    entry.append("</p>")
    figure = next(iter(sorted(folder.glob(f"figures/{name}__*.svg"))), None)
    if figure is not None:
        source = f"../reports/{folder.name}/figures/{figure.name}"
        label = html.escape(f"{title}의 그림")
        entry.append(f'<p class="gallery"><img loading="lazy" src="{source}" alt="{label}"></p>')
    return ["".join(entry), ""]


def _copy(source: Path, target: Path) -> None:
    """Pages and figures; executed notebooks and exports stay where they are."""
    shutil.rmtree(target, ignore_errors=True)
    keep = shutil.ignore_patterns("notebooks", "logs", "export", ".*")
    shutil.copytree(source, target, ignore=keep)


def _inline(text: object) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", str(text))


def make(app: Any) -> None:
    """Write the pages before Sphinx looks for its sources; a page that did not change keeps its date."""
    folder = Path(app.srcdir) / MADE
    pages = {
        **method_pages(),
        "glossary": glossary_page(),
        "gallery": gallery_page(ROOT / "reports", Path(app.outdir)),
    }
    for old in folder.rglob("*.md"):
        if str(old.relative_to(folder).with_suffix("")) not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def embed_fonts(app: Any, error: Exception | None) -> None:
    """The Korean font of the reports, with the glyphs that the site uses: no machine needs one of its own."""
    if error is not None or app.builder.format != "html":
        return
    from evalkit.report.fonts import FACES, FAMILY, subset

    out = Path(app.outdir)
    pages = [p for p in out.rglob("*.html") if "reports" not in p.relative_to(out).parts]
    text = "".join(p.read_text(encoding="utf-8") for p in pages)
    rules = []
    for weight, face in FACES.items():
        name = f"evalkit-{weight}.woff2"
        (out / "_static" / name).write_bytes(subset(face, frozenset(html.unescape(text))))
        rules.append(
            f"@font-face{{font-family:{FAMILY};font-weight:{weight};font-style:normal;"
            f"src:url({name}) format('woff2')}}"
        )
    (out / "_static" / "fonts.css").write_text("\n".join(rules) + "\n", encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry."""
    app.connect("builder-inited", make)
    app.connect("build-finished", embed_fonts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
