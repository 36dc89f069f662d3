"""A study's report: one HTML page with the answer first, and everything that it rests on."""
