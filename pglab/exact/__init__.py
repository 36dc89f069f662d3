"""Finite MDPs solved in closed form: J, ∇J, and mean and covariance of every estimator of ∇J.

Everything is double precision. A policy is its table π(a|s), `[S, A]`, and its score table
∇log π(a|s), `[S, A, P]`; `pglab.exact.policy` reads both off any head and network.
"""
