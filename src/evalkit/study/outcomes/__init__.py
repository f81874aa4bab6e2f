"""What stands behind the outcome notebooks: jobs, sales, spillovers, panel analysis. Nothing here is drawn or worded."""
