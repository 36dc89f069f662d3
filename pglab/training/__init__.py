"""Training bundles of runs: collect, weigh, step, measure."""
