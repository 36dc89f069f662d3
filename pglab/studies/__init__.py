"""Studies: which runs there are, who trains them, and where their results go."""
