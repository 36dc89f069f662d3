"""The published results, rebuilt: `python -m analysis.paper`."""
