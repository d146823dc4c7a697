"""Subagents: delivered by Celery, run on one event loop a process, written to the run log."""
