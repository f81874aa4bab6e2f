"""A monthly world of firms and their establishments, and the public files that would be made of it.

``establishment_world(seed, firms, first_month, months)`` draws it, ``world.truth`` holds what truly happened,
``write_establishments(world, raw_folder, truth_folder)`` writes 국민연금 (monthly), 고용보험 (year-end), 공장등록 and a list of
supported firms. ``truth.links`` says of every row of every file whose it is. The same seed gives the same bytes.

What is in it, each with its truth: firms with one to four establishments (head office, branch, laboratory, plant), some under
the firm's number and some under one of a branch; births, deaths; moves within and between 시·군·구; head offices that leave
the capital region on paper only, for less than twelve months, for good, or too late to be told; workplaces registered anew;
new names and legal forms; twins of one name root, six digits and 시·군·구; spellings and slips of names; and what the sources
hide: six digits of the number, individuals and corporations below three insured. Region codes change with their dates.
"""

from evalkit.simulate.establishments.files import write_establishments as write_establishments
from evalkit.simulate.establishments.model import EstablishmentTruth as EstablishmentTruth
from evalkit.simulate.establishments.model import EstablishmentWorld as EstablishmentWorld
from evalkit.simulate.establishments.world import establishment_world as establishment_world

__all__ = ["EstablishmentTruth", "EstablishmentWorld", "establishment_world", "write_establishments"]
