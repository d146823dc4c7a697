"""Evaluation: tasks through the public API, scored, resumable; results, summary and report as files. No process."""
