"""W&B as a mirror of a study: whatever it gets, live or later, is read from the study's files.

`runs` says what W&B is to have of a run, `delivery` brings it there, `summary` does the same for a study as a
whole. While a study trains, `live` starts a child (`follow`) that brings what the files show by then;
`command` brings what is missing at any later time. `sweep` is for those who start us as a W&B sweep's agent.
"""
