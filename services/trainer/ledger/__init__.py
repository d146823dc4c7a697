"""Step manifests: what each step was made of, written once, chained by hashes."""
