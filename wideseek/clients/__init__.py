"""HTTP clients: the only part of the core that does I/O."""
