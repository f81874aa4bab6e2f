"""Tables and figures as HTML of a cell."""

from __future__ import annotations

import base64

from evalkit.present.canvas import Drawing
from evalkit.present.tabulation import Tabulation
from evalkit.present.writers.html import escaped, html_table


def drawing(thing: Drawing, lang: str) -> str:
    """The figure as an image with its alternative text."""
    del lang
    picture = base64.b64encode(thing.svg.encode()).decode()
    image = (
        f'<img style="max-width:100%" src="data:image/svg+xml;base64,{picture}" alt="{escaped(thing.alt)}">'
    )
    return f"<figure><figcaption>{escaped(thing.title)}</figcaption>{image}</figure>"


def tabulation(thing: Tabulation, lang: str) -> str:
    """The table."""
    del lang
    return html_table(thing)


def paragraph(text: str) -> str:
    """A sentence; text of the data is only text."""
    return f"<p>{escaped(text)}</p>"
