"""Korean words on a page in another language, marked as Korean: quotations, names of places and firms, sentences of errors.

Without the mark a screen reader spells them with the voice of the page's language (WCAG 3.1.2).
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"(<[^>]*>)|([^<]+)")
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)")
_OWN_LANG = re.compile(r'\slang="([^"]*)"')
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
# from the first Hangul to the last, over whatever stands between but letters of another script and entities
_RUN = re.compile(rf"[{_HANGUL}](?:[^A-Za-z<>&\n]*[{_HANGUL}])?")
_VOID = {"br", "col", "hr", "img", "input", "link", "meta", "wbr"}
_LEFT = {"code", "head", "math", "pre", "script", "style"}  # no prose, or no place for an element


def mark_korean(page: str, lang: str) -> str:
    """``page`` (our own well-formed HTML) with every run of Hangul outside Korean parts in ``<span lang="ko">``.

    Examples
    --------
    >>> mark_korean("<p>The zone of 오송 in 충북</p>", "en")
    '<p>The zone of <span lang="ko">오송</span> in <span lang="ko">충북</span></p>'
    """
    if lang == "ko" or not re.search(f"[{_HANGUL}]", page):
        return page
    within: list[bool] = [False]  # for each open element: Korean already, or left alone

    def written(match: re.Match[str]) -> str:
        tag, text = match.groups()
        if text is not None:
            return text if within[-1] else _RUN.sub(r'<span lang="ko">\g<0></span>', text)
        named = _TAG.match(tag)
        if named is None or named[1].lower() in _VOID or tag.endswith("/>"):
            return str(tag)
        if tag.startswith("</"):
            if len(within) > 1:
                within.pop()
            return str(tag)
        own = _OWN_LANG.search(tag)
        within.append(named[1].lower() in _LEFT or (own[1] == "ko" if own else within[-1]))
        return str(tag)

    return _PIECE.sub(written, page)
