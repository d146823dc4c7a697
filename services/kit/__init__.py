"""What every service does: settings, logs, problems, probes, the run log, the queue's names."""
