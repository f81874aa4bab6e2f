"""Text for LaTeX (XeLaTeX or LuaLaTeX): whatever it holds, it is set as it is and nothing of it is a command."""

from __future__ import annotations

import re

from evalkit.plain_text import clean_text
from evalkit.present.writers.prose import Run

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # what fonts join into another sign
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}",
    "-": "-{}",
    ",": ",{}",
    # what a line end of a table would take for its option
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\u00a0": "~",
    "\ufffd": r"\symbol{65533}",  # LuaTeX takes the letter itself for a fault of encoding
    "\t": " ",
}
_NEEDED = re.compile(r"-(?=-)|,(?=,)|[^-,]")

# commands of formulas that a text may use: letters, signs, accents, fractions; nothing that reads, writes or defines
_FORMULA = frozenset(
    re.findall(
        r"\w+",
        """
        alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau upsilon
        phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hat bar tilde dot vec overline
        underline widehat widetilde frac sqrt sum prod int infty partial nabla pm mp times cdot div le leq ge geq ne neq
        approx equiv sim simeq propto in notin subset cup cap forall exists to rightarrow leftarrow mapsto mid perp ldots
        cdots dots quad qquad log ln exp min max sup inf lim Pr det arg mathrm mathbf mathit mathcal prime ell
        """,
    )
)
_ONE = "hat bar tilde dot vec overline underline widehat widetilde sqrt mathrm mathbf mathit mathcal"
_TAKES = {"frac": 2} | dict.fromkeys(re.findall(r"\w+", _ONE), 1)
_TOKEN = re.compile(r"\\([A-Za-z]+)|\\[,;:! ]|[A-Za-z0-9+\-*/=<>().,:;!| ]|([{}^_])")
_DEEPEST = 12


def escaped(text: object, line_end: str = " ") -> str:
    """Clean text in which every sign of TeX is set as itself; line ends become `line_end`.

    >>> escaped("50% of {x_1} -- [a]")
    '50\\\\% of \\\\{x\\\\_1\\\\} -{}- {[}a{]}'
    """
    lines = clean_text(text).split("\n")
    return line_end.join(_line(line) for line in lines)


def lined(text: object) -> str:
    """Escaped text that keeps its lines."""
    return escaped(clean_text(text).strip("\n"), "\\newline ")


def _line(line: str) -> str:
    return _NEEDED.sub(lambda found: _SPECIAL.get(found.group(), found.group()), line)


def runs_text(runs: tuple[Run, ...]) -> str:
    """Runs of prose with their appearance."""
    return "".join(_run(run) for run in runs)


def _run(run: Run) -> str:
    if run.formula:
        tex = safe_formula(run.text)
        return f"${tex}$" if tex else rf"\texttt{{{escaped(run.text)}}}"
    text = escaped(run.text, "\\newline ")
    for wanted, command in ((run.code, "texttt"), (run.italic, "emph"), (run.bold, "textbf")):
        if wanted:
            text = rf"\{command}{{{text}}}"
    return text


def safe_formula(tex: str) -> str:
    """The formula if it holds nothing but signs and commands on the list, well formed; "" otherwise.

    >>> safe_formula(r"\\hat{\\beta}_1"), safe_formula(r"\\input{x}")
    ('\\\\hat{\\\\beta}_1', '')
    """
    reader = _Formula(tex)
    return tex.strip() if tex.strip() and reader.group(0) and reader.at == len(reader.tokens) else ""


class _Formula:
    """Reads a formula token by token; what TeX would complain of is not well formed."""

    def __init__(self, tex: str) -> None:
        self.tokens: list[str] = []
        self.at = 0
        end = 0
        for found in _TOKEN.finditer(tex):
            if found.start() != end or (found[1] and found[1] not in _FORMULA):
                break
            end = found.end()
            if not found.group().isspace():
                self.tokens.append(found.group())
        if end != len(tex):
            self.tokens = ["}"]  # nothing begins so

    def group(self, depth: int) -> bool:
        """Atoms with their scripts, up to a closing brace or the end."""
        seen = False
        while self.at < len(self.tokens) and self.tokens[self.at] != "}":
            if not self._atom(depth):
                return False
            scripts = set()
            while self.at < len(self.tokens) and self.tokens[self.at] in "^_":
                if self.tokens[self.at] in scripts:
                    return False
                scripts.add(self.tokens[self.at])
                self.at += 1
                if not self._atom(depth, simple=True):
                    return False
            seen = True
        return seen

    def _atom(self, depth: int, *, simple: bool = False) -> bool:
        if depth > _DEEPEST or self.at >= len(self.tokens) or self.tokens[self.at] in "}^_":
            return False
        sign = self.tokens[self.at]
        takes = _TAKES.get(sign[1:], 0) if sign[0] == "\\" else 0
        if simple and takes:  # a script in braces only
            return False
        self.at += 1
        if sign == "{":
            return self._closed(depth)
        for _ in range(takes):
            if self.at >= len(self.tokens) or self.tokens[self.at] != "{":
                return False
            self.at += 1
            if not self._closed(depth):
                return False
        return True

    def _closed(self, depth: int) -> bool:
        if not self.group(depth + 1) or self.at >= len(self.tokens):
            return False
        self.at += 1  # group() stops at a closing brace only
        return True
