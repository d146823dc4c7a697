"""Policies: publish, load on every replica, probe, promote, canary, roll back, unload."""
