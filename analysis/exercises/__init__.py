"""Five exercises: each a file with a hole, a hint, a judge, and a solution."""
