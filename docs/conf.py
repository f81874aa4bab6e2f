"""The documentation site. Build: ``python3 run.py docs`` (or ``sphinx-build -W docs build/site``); no network is needed.

Pages are Markdown. What the code knows is not written twice: methods, glossary and gallery are made while building, into
``docs/_made`` (not kept in version control).
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "evalkit"
author = "The evalkit authors"
copyright = author
language = "ko"

extensions = ["myst_parser", "made_pages"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]

html_theme = "furo"
html_title = "evalkit 안내서"
html_static_path = ["_static"]
html_css_files = ["fonts.css", "site.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_last_updated_fmt = None  # the same sources give the same pages
html_theme_options = {"navigation_with_keys": False}
html_search_language = "en"  # splits at spaces, which is what Korean needs; there is no stemmer for it
