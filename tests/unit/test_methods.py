"""The register of methods: complete, true to the code, and the page is what the cards say."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

import evalkit
from evalkit.cli import cli
from evalkit.errors import UsageError
from evalkit.methods import Method, description, listing, method, methods, page

PROJECT = Path(__file__).resolve().parents[2]
ESTIMATORS = PROJECT / "src" / "evalkit" / "estimators"
KNOWN = methods()


def entry_points() -> set[str]:
    """Public functions of estimators that return an Estimate."""
    return {
        node.name
        for path in ESTIMATORS.glob("[!_]*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and ast.unparse(node.returns) == "Estimate"
    }


def test_every_entry_point_has_a_card() -> None:
    cards = {m.card.function for m in KNOWN if m.home.startswith("evalkit.estimators.")}
    assert entry_points() - cards == set()


@pytest.mark.parametrize("found", KNOWN, ids=lambda m: m.card.function)
def test_a_card_tells_the_truth(found: Method) -> None:
    """The function is there, the tests that it names are there and name it, and its sentences are Korean."""
    card = found.card
    assert callable(getattr(import_module(found.home), card.function))
    files = [name for told in card.oracle for name in re.findall(r"tests/[\w/]+\.py", told)]
    assert files, f"{card.function}: no test file behind its oracle"
    assert any(
        re.search(rf"\b{card.function}\b", (PROJECT / name).read_text(encoding="utf-8")) for name in files
    )
    for sentence in (card.name, card.question, *card.assumptions):
        assert re.search("[가-힣]", sentence), sentence
    assert card.question.endswith("?")
    assert re.search(r"\b(19|20)\d\d\b", card.reference)
    assert card.assumptions


def test_every_method_can_be_had_from_the_package() -> None:
    for found in KNOWN:
        assert getattr(evalkit, found.card.function) is getattr(
            import_module(found.home), found.card.function
        )
        assert found.card.function in dir(evalkit)


def test_no_two_cards_share_a_function() -> None:
    names = [m.card.function for m in KNOWN]
    assert len(names) == len(set(names))


def test_the_page_is_made_from_the_cards() -> None:
    assert (PROJECT / "METHODS.md").read_text(encoding="utf-8") == page(), (
        "run: evalkit methods --page > METHODS.md"
    )


def test_the_command_lists_and_describes() -> None:
    runner = CliRunner()
    everything = runner.invoke(cli, ["methods"])
    assert everything.exit_code == 0
    assert everything.output == listing() + "\n"
    for found in KNOWN:
        assert found.card.function in everything.output
    one = runner.invoke(cli, ["methods", "group_time_effects"])
    assert one.output == description(method("group_time_effects")) + "\n"
    assert "Callaway" in one.output


def test_a_misspelt_method_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="group_time_effects"):
        method("group_time_effect")
