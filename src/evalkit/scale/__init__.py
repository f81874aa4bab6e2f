"""National files that do not fit in memory: one expression (Ibis), executed by embedded DuckDB or by Spark."""
