"""Record linkage: which rows of which files are one establishment, and which establishments are one firm."""
