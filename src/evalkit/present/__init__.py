"""Tables, figures and words. It computes no number; drawing libraries are imported only when something is drawn.

messages     `say`, `finding`, `few_cluster_line`; the words are in ``messages/*.yml``
numerals     how a number, interval, p-value or quantity is written;  particles  은/는 by sound
tabulation   `Tabulation`, `Column`, `Entry`, `Total`: a table as a value
tables       tables of estimates and balance;  ledgers  sample flow, repairs, targets, provenance, any frame
regression_tables, group_tables, stacking  estimates side by side, balance of groups, tables under one another
document     a report without a form;  writers  HTML, CSV, Excel, Word, HWPX, LaTeX
canvas       `Drawing`, fonts and palette;  figures  what is drawn
"""
