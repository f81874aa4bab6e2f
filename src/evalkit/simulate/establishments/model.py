"""What a monthly world of establishments is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HEAD_OFFICE, BRANCH, LABORATORY, PLANT = range(4)
PLACE_KINDS = ("head_office", "branch", "laboratory", "plant")
NEVER = 1 << 30
"""A month that does not come."""


@dataclass(slots=True, eq=False)
class Firms:
    """Firms, F of them  # (F,) each; arrays are made by one module after another and not changed after that."""

    corporation: NDArray[np.bool_]
    number: NDArray[np.object_]  # ten digits
    root: NDArray[np.object_]  # (2, F) name before and after a new name
    form: NDArray[np.int64]  # (2, F) legal form before and after
    renamed: NDArray[np.int64]  # month index from which the second holds, NEVER
    industry: NDArray[np.int64]
    twin: NDArray[np.int64]  # the firm whose twin it is, −1


@dataclass(slots=True, eq=False)
class Places:
    """Establishments, E of them  # (E,) each unless said; months count from the first of the window."""

    firm: NDArray[np.int64]
    kind: NDArray[np.int64]  # index into PLACE_KINDS
    born: NDArray[np.int64]  # first month there; negative before the window
    died: NDArray[np.int64]  # first month no longer there; NEVER
    base: NDArray[np.float64]  # persons at the start
    number: NDArray[np.object_]  # ten digits; the firm's or its own
    suffix: NDArray[np.int64]  # how the kind stands in its name
    older: NDArray[np.float64]  # share of persons of 60 and over
    region: NDArray[np.int64]  # (E, T) index into the 시·군·구 of 2018
    street: NDArray[np.int64]  # (E, T) changes with every move
    joined: NDArray[np.datetime64]  # day of the first registration
    joined_again: NDArray[np.datetime64]  # day of the second, NaT
    again_from: NDArray[np.int64]  # month from which the second holds, NEVER
    again_gap: NDArray[np.int64]  # months before it in which 국민연금 does not have it
    again_new: NDArray[np.bool_]  # whether 적용일자 itself is new (else only 재등록일자 is filled)
    empty_from: NDArray[np.int64]  # month from which nobody works there (a head office on paper), NEVER
    employees: NDArray[np.int64]  # (E, T) insured persons, 0 where it is not there


@dataclass(frozen=True, slots=True, eq=False)
class FileRows:
    """One public file before it is written: which establishment stands in which row.

    Attributes
    ----------
    source : "national_pension", "employment_insurance", "factory_registration" or "performance_survey"
    name : of the file, as a `Table` names it (a member of a ZIP by its own name)
    period : month index of its content
    establishment : of each row; row i stands in line i + 2  # (n,)
    left : whether the row says that the workplace left (국민연금)  # (n,)
    used : whether the file is the one to be used of its period (an early revision is not)
    """

    source: str
    name: str
    period: int
    establishment: NDArray[np.int64]
    left: NDArray[np.bool_]
    used: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class EstablishmentTruth:
    """What truly happened.

    Attributes
    ----------
    establishments : one row each: establishment, firm, kind, corporation, name, born, died, region_first, own_number, twin_of
        (the firm that its firm is a twin of, −1)
    monthly : one row per establishment and month in which it is there: establishment, firm, month, region (2018), employees
        (고용보험), members (국민연금), joined (적용일자 in that month), reregistered, published (by 국민연금 in that month)
    moves : establishment, firm, kind, month, from_region, to_region, between (whether the 시·군·구 changed)
    relocations : moves from the capital region to outside it: establishment, firm, kind, month, from_region, to_region, type
        (paper, short, lasting, late, other), workers (insured there in the month of the move), months_with_worker (in a row
        from the move, in the 시·군·구 moved to), observed (whether twelve months can be seen, or the spell ended before),
        counts (twelve months with at least one insured worker; DOMAIN 4.6)
    renames : firm, month, what ("legal_form" or "name")
    registrations : establishment, firm, month, gap, new_date
    links : one row per row of every file: source, file, source_row, month, establishment, firm, left, used
    """

    establishments: pd.DataFrame
    monthly: pd.DataFrame
    moves: pd.DataFrame
    relocations: pd.DataFrame
    renames: pd.DataFrame
    registrations: pd.DataFrame
    links: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class EstablishmentWorld:
    """A drawn world: arrays, files to be, and the truth.

    Attributes
    ----------
    months : first days of the months of the window  # (T,) datetime64[M]
    codes : 시·군·구 of 2018  # (R,)
    """

    seed: int
    months: NDArray[np.datetime64]
    codes: NDArray[np.str_]
    firms: Firms
    places: Places
    files: tuple[FileRows, ...]
    truth: EstablishmentTruth
