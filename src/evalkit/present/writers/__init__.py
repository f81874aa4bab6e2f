"""One table, many writers: a `Tabulation` (and a `Document` of them) in every format that offices use."""
