"""Search and access over indexed corpora."""
