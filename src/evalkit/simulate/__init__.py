"""A world with a known truth, written as the messy files that an evaluator receives.

``world(seed)`` draws the arrays, ``World.truth`` holds the exact effects, ``write(world, raw_folder, truth_folder)`` makes
the files. The same seed gives the same bytes. All constants stand in `Parameters` with their units.

Data-generating process, firm i of sector k in province p, year t = 2013 … 2027 (money in million KRW of 2020):

- size       log s_i ~ N(log 22, 0.75²), cut to 5–300 persons;  productivity  log q_i ~ N(log 180, 0.40²)
- reference  h_i = 22 · (1 + 0.5 · log(s_i / 22)): what a common shock of one is worth; linear in log size
- common     c_kt (COVID by sector, 2020–21, half of it left each year after) + b_pt (AR(.6), sd .02)
- own        ν_i · u_it,  u AR(.9) with unit variance,  ν_i = 0.10 · 22 · (s_i / 22)^0.8
- jobs       L_it(0) = s_i + h_i · (0.018 · (t − 2013) + c_kt + b_pt) + ν_i · u_it
- sales      q_i · { s_i + h_i · (0.022 · (t − 2013) + 1.2 · (c_kt + b_pt)) + 1.2 · ν_i · u'_it }, zero in 4 % of the years
  of firms that started below 12 persons
- exit       with probability (s_i / 22)^−0.6 · 0.028 (+ 0.008 in 2020–21) a year; zero jobs and sales ever after
- support    in each province the firms with the largest score_i + Gumbel, a fixed number a phase; score = 0.4 · log s_i +
  sector + 0.9 · target industry + 0.8 · within 20 km of a zone; the first year within the phase is drawn at random. A firm
  first supported in g was there at the end of g − 1
- effects    L_it(1) = L_it(0) + τ_φ · path_φ(t − g) · tier · ζ_i  (persons; sales likewise), ζ_i of mean 1; the exit
  probability falls by a fixed share from g on. Phase 1 persists and grows by 4 % a year; repeated support adds 40 % of
  the strength of phase 3 in phase 3 and nothing in phase 2
- rings      never-supported firms within 20 km of a zone lose up to 0.4 persons and 50 million KRW, falling with
  distance, over two years, for good: zones of phase 1 from 2019, those added in phase 3 from 2023
- moves      firms leave the capital region at 0.4 % a year for any municipality outside, all alike; from 2019 on another
  0.6 % a year is drawn into zones (more in proportion when zones are added in 2023), and nowhere else
- filing     12 % of median-size firms never file accounts (more of the small), 2 % of the years are missed

- staff      B_it = 0.30 · ε_it · L_i,t−1 persons leave whatever the firm does (ε of mean 1);  hires = max(0, ΔL_it + B_it),
  separations = hires − ΔL_it; a firm that closes hires nobody and everybody leaves. Regular staff = (r_k + own + δ_φ · path) · L,
  young staff alike with a share that falls by 0.4 points a year; δ_φ = 1.5, 1.0, 2.0 points (regular), 1.0, 0.5, 2.5 (young)
- money      the stated national budgets of phases 1 and 2 in equal parts a province, 150 or 210 억원 a province by tier in
  phase 3; within a province by project, within a project by partner

Headcounts are rounded up or down at random, so that rounding keeps the mean.

What is known exactly: `truth` (by phase, cohort and time since the start), `truth_firms` (tiers, paths, staff, percent,
extensive margin, composition against effect) and `truth_places` (rings, direct, local and national nets, moves, borders, cost).
A firm that a zone draws is a gain to the zone and a loss to the capital region: it counts in the local net, not in the
national one; nothing is diverted from other municipalities. Zones that lost their designation in 2023 go on at work.

What identifies the effects: growth, shocks and exit depend on size, sector, province and year only, and so does support
(with target industry and distance, which move nothing else). So E[Y_t(0) − Y_{g−1}(0) | log jobs_{g−1}, log sales_{g−1},
sector] is the same for firms first supported in g and for never-supported firms of the same provinces beyond 20 km from
every zone, in levels, exits counted as zero. Three traps are built in: comparison firms in the rings are displaced;
firms supported later are survivors by construction, so "not yet" comparisons bias survival; the capital region grows on
a path of its own.
"""

from __future__ import annotations

from typing import Any

from evalkit.simulate.direct import firm_panel as firm_panel
from evalkit.simulate.economy import World as World
from evalkit.simulate.economy import draw_world
from evalkit.simulate.files import Files as Files
from evalkit.simulate.files import write as write
from evalkit.simulate.parameters import Parameters as Parameters
from evalkit.simulate.truth import Truth as Truth

__all__ = ["Files", "Parameters", "Truth", "World", "firm_panel", "world", "write"]


def world(seed: int, firms: int = 4000, **params: Any) -> World:
    """Draw a world.

    Parameters
    ----------
    seed : any integer >= 0; the same seed and parameters give the same world
    firms : how many firms ever exist, capital region included; >= 200
    params : changes to `Parameters`, by name

    Raises
    ------
    ParameterError : an unknown parameter, or fewer than 200 firms
    """
    return draw_world(seed, Parameters.of(firms, params))
