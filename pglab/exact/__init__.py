"""Problems solved in closed form: J, ∇J, and mean and variance of every estimator of ∇J.

Everything is double precision. In a finite MDP a policy is its table π(a|s), `[S, A]`, and its score table
∇log π(a|s), `[S, A, P]`; `pglab.exact.policy` reads both off any head and network. In a linear-quadratic problem it
is a `pglab.exact.linear_quadratic.LinearGaussian`.
"""
