"""Suites: tasks with gold made from a corpus, their splits, filters and statistics. No process of its own."""
