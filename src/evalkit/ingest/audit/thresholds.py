"""Every threshold of the audit, with its reason. Distances are in robust standard deviations (1.4826 × MAD) unless said.

They were set on simulated panels with seeds other than the one that `docs/data_audit.md` reports.
"""

from __future__ import annotations

# -- noise ------------------------------------------------------------------------------------------------
MAD_TO_SD = 1.4826  # of a normal distribution
LEAST_NOISE = 0.003  # log points: an exact trend is not infinitely precise
SIZE_BIN = 25  # units that share one noise level: fewer give a poor MAD, more mix sizes
LEAST_UNITS = 8  # for any statement about a typical unit of a period
LEAST_COVERAGE = 0.3  # share of units that a period must have to be part of a series

# -- one cell ---------------------------------------------------------------------------------------------
SPIKE_Z = 6.0  # a value far from its own years: the start of a search for swaps and shifts, not yet a finding
FIT_Z = 4.0  # a value that fits the level of another unit as well as that unit's own values would
CLOSER = 0.2  # or that fits it five times better than its own unit, if less than twice as far off as FIT_Z
OUTLIER_Z = 12.0  # heavy tails of real changes reach 8–10
OUTLIER_STEP = 0.9  # log points (a factor of 2.5): smaller jumps are news, not typing errors
TAIL_SHARE = 0.98  # point of the panel's own distances beyond which its tail begins: faults are rarer
TAIL_SPAN = 2.7  # an outlier lies this many times beyond it: heavy-tailed firms reach 1.7 at 99.5 %
FACTOR_TOLERANCE = 0.35  # log points around a power of ten in which one cell counts as a unit error

# -- two units or a block changing places -----------------------------------------------------------------
SWAP_Z = 8.0  # how far both units of a pair must stand from their own years
RETURN = 0.5  # share of the jump by which the years before and after may differ: else the level has shifted for good
SMALL_GROUP = 60  # units of a group (시·군·구 of a 시·도) within which rows are easily confused
CHANCE_NEAR = 0.05  # accidental pairs of neighbours that may be expected in the whole table
CHANCE_FAR = (
    0.01  # and of units that have nothing to do with each other: rows are not confused over that distance
)
SWAP_CANDIDATES = 400  # the farthest values of one period; pairs grow with the square
LONGEST_SWAP = 3  # periods: longer exchanges look like two real level shifts
SHIFT_STRONG = 3  # units in a row that fit the unit before them and not themselves
SHIFT_SHARE = 0.6  # of the block that must be strong (neighbours of equal size fit both)

# -- one period -------------------------------------------------------------------------------------------
EVEN_VALUES = 20  # all even by accident once in 2^20
DOUBLE_TOLERANCE = (
    0.45  # log points around log 2 where all values are even: a common shock may stand beside it
)
HALF_FRACTIONS = 0.25  # halving makes half of the whole numbers fractions
POWER_STEP = 1.6  # log points: half of a factor of ten, and some growth
POWER_TOLERANCE = 0.6  # log points around a power of ten for a whole period
BREAK_STEP = 0.12  # log points in one step beyond the usual one: less is growth
BREAK_OWN = 5.0  # times the series' own variation of common changes
BREAK_SHARE = 0.85  # of units that move with the break: a shock hits some, a definition hits all
BREAK_RETURN = 0.4  # share of the step that comes back within the next two periods when it was a shock
BREAK_DECLARED = 0.05  # log points that suffice where the source itself declares a break
STALE_SHARE = 0.5  # of units whose value is that of the period before
STALE_GROUP = 5  # units of a group that must all be equal
STALE_LEAST = 20.0  # small whole numbers stay equal by themselves
STALE_GROUP_CHANCE = (
    1e-6  # that all of a group are equal by accident; a panel has some hundred groups × periods × columns
)
STALE_BASE = 0.15  # share of equal values that is usual; above it equality says nothing

# -- what the numbers are -----------------------------------------------------------------------------------
RATE_VOLATILITY = 0.2  # typical change over typical size: an index moves by 0.02, a rate by 0.5 and more
RATE_SIZE = 50.0  # a yearly rate in per cent is smaller
RATE_LARGEST = 20.0  # a price index of a year stands at 20 only after inflation of decades
RATE_NOT_ONE = 0.5  # an index may be written with base 1
FRACTIONS = 0.5  # share of fractional values that a rate has
INDEX_BASE = 2.0  # points around 100 (or 0.02 around 1) in the year that the name gives
FEW = 0.02  # share of impossible values above which the column is something else than its name says
FEW_FRACTIONS = 0.05  # share of fractions in a whole-number column that are typing errors, not averages

# -- sums -----------------------------------------------------------------------------------------------------
SUM_SAMPLE = 128  # rows on which identities are looked for
SUM_SAMPLE_SHARE = 0.75  # of them that must hold: the others may be the fault
SUM_SHARE = 0.85  # of all rows
TWIN_SHARE = 0.95  # of rows in which two columns must agree to be of one kind
SUM_COLUMNS = 30  # columns among which pairs are tried
MOST_PARTS = 40  # rows that may follow their total: 시·군·구 of a 시·도
SUM_EVIDENCE = 9.0  # digits of values that agree: an accident once in 10^9 / number of tries
SUM_UNITS = 4000  # more units are firms, among which no row is the sum of the next

# -- which units are there ----------------------------------------------------------------------------------
CHURN_SHARE = 0.12  # of units that come or go in one step
CHURN_TIMES = 4.0  # and times the usual share
MISSING_GAP = 0.10  # difference of shares between groups
MISSING_P = 0.001  # one in a thousand: twenty columns and several groups are tried
FEWEST_GROUP = 5  # units

# -- digits: hints only -------------------------------------------------------------------------------------
HEAPED = 0.35  # share of values that end in 0; by accident 0.10
HEAP_VALUES = 150
BENFORD_VALUES = 1000
BENFORD_ORDERS = 3.0  # powers of ten that the middle 98 % must span
BENFORD_DISTANCE = 0.03  # mean absolute deviation; Nigrini's «nonconformity» begins at 0.015
