"""Is the estimator right? The pipeline that trains, held against exact gradients of solvable problems."""
