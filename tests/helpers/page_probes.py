"""Questions to an open page, as scripts that the browser evaluates, and what print and screen have in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_SHOWN = "(e => e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true}))"
_WHAT = "(e => e.tagName + (e.id ? '#' + e.id : '') + ' ' + (e.innerText || e.ariaLabel || '').trim().slice(0, 40))"
_STOPS = "a[href], summary, input, [tabindex='0']"

# what stands where the keyboard is: its place among all elements, whether the focus can be seen, whether it is in view
FOCUSED = f"""() => {{
  const e = document.activeElement;
  if (!e || e === document.body || e === document.documentElement) return null;
  const s = getComputedStyle(e), r = e.getBoundingClientRect();
  const seen = e.matches(':focus-visible') && s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
  const inside = r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth;
  return {{at: [...document.querySelectorAll('*')].indexOf(e), what: {_WHAT}(e), seen, inside}};
}}"""

# places of everything that can be operated, in the order of the text
REACHABLE = f"""() => {{
  const all = [...document.querySelectorAll('*')];
  return [...document.querySelectorAll("{_STOPS}")].filter({_SHOWN}).map(e => all.indexOf(e));
}}"""

# elements that reach over the right edge and stand in no region that scrolls
TOO_WIDE = f"""width => [...document.querySelectorAll('body *')].filter(e => {{
  if (!{_SHOWN}(e) || e.closest('.skip, .unseen, math, .provenance caption')) return false;
  for (let up = e.parentElement; up; up = up.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(up).overflowX)) return false;
  return e.getBoundingClientRect().right > width + 1;
}}).map({_WHAT})"""

# pairs of blocks whose words lie over one another
OVERLAPS = f"""() => {{
  const blocks = [...document.querySelectorAll('p, li, h1, h2, h3, h4, caption, th, td, dt, dd, summary, figcaption, img, pre, label')]
    .filter(e => {_SHOWN}(e) && !e.closest('.skip, .unseen, .provenance caption'));
  const boxes = [];
  for (const e of blocks) {{
    if (e.tagName === 'IMG') {{ boxes.push([e, e.getBoundingClientRect()]); continue; }}
    const walker = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
    for (let n = walker.nextNode(); n; n = walker.nextNode()) {{
      if (!n.data.trim() || n.parentElement.closest('.unseen, math')) continue;
      if (n.parentElement.closest('p, li, h1, h2, h3, h4, caption, th, td, dt, dd, summary, figcaption, pre, label') !== e) continue;
      const range = document.createRange();
      range.selectNodeContents(n);
      for (const r of range.getClientRects()) boxes.push([e, r]);
    }}
  }}
  boxes.sort((a, b) => a[1].top - b[1].top);
  const found = [];
  for (let i = 0; i < boxes.length; i++)
    for (let j = i + 1; j < boxes.length && boxes[j][1].top < boxes[i][1].bottom - 3; j++) {{
      const [a, p] = boxes[i], [b, q] = boxes[j];
      if (a === b || a.contains(b) || b.contains(a)) continue;
      if (a.closest('.wide, pre') !== b.closest('.wide, pre') && (a.closest('.wide, pre') || b.closest('.wide, pre'))) {{
        const box = (a.closest('.wide, pre') || b.closest('.wide, pre')).getBoundingClientRect();
        const other = a.closest('.wide, pre') ? q : p;
        if (other.left >= box.right || other.right <= box.left) continue;  // scrolled out of sight
      }}
      // a column that stays in sight while its table scrolls lies over the others by design
      if (getComputedStyle(a).position === 'sticky' || getComputedStyle(b).position === 'sticky') continue;
      const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (wide > 2 && high > 0.3 * Math.min(p.height, q.height)) found.push({_WHAT}(a) + ' | ' + {_WHAT}(b));
    }}
  return found;
}}"""

# things to touch that are smaller than the least size and do not stand in running text
SMALL_TARGETS = f"""least => [...document.querySelectorAll("a[href], summary, input")].filter(e => {{
  if (!{_SHOWN}(e) || e.closest('.skip')) return false;
  let r = e.getBoundingClientRect(), width = r.width, height = r.height;
  const label = e.id && document.querySelector(`label[for="${{e.id}}"]`);
  if (label) {{ const q = label.getBoundingClientRect(); height = Math.max(height, q.height); width += q.width; }}
  const block = e.closest('p, li, td, h2, h3');
  const text = block && block.innerText.trim().length > e.innerText.trim().length + 12;
  if (getComputedStyle(e).display === 'inline' && text) return false;
  return width < least - 0.5 || height < least - 0.5;
}}).map({_WHAT})"""

# boxes that hide a part of their text
CLIPPED = f"""() => [...document.querySelectorAll('body *')].filter(e => {{
  const s = getComputedStyle(e);
  if (!{_SHOWN}(e) || e.closest('.unseen, .provenance caption, math')) return false;
  return (s.overflowY === 'hidden' || s.overflowY === 'clip') && e.scrollHeight > e.clientHeight + 2;
}}).map({_WHAT})"""

# the text of the page as it is read, less what leads around on it; a list of inputs counts even when it is folded
READ = f"""() => {{
  const left = '.skip, .contents, .files, .switch, .unseen, .provenance caption, style, script, math, figure summary, details.code';
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let text = '';
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {{
    const e = n.parentElement;
    if (e.closest(left)) continue;
    if ({_SHOWN}(e) || e.closest('.provenance')) text += n.data + ' ';
  }}
  return text;
}}"""


def letters(text: str) -> str:
    """Without what paper breaks differently: white space and joiners."""
    return re.sub(r"[\s\u00ad\u200b\u2060\ufeff]+", "", text)


def lost_on_paper(shown: str, sheets: Iterable[str]) -> Counter[str]:
    """Words of the page of which the print holds fewer."""
    paper = letters("".join(sheets))
    words = Counter(letters(word) for word in shown.split() if letters(word))
    together = Counter(letters(shown))
    printed = Counter(paper)
    lost = Counter(
        {letter: count - printed[letter] for letter, count in together.items() if count > printed[letter]}
    )
    if not lost:
        return Counter(
            {
                word: count
                for word, count in words.items()
                if len(word) > 3 and word not in paper and len(word) < 12
            }
        )
    return lost
