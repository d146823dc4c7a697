"""The three-stage data pipeline: queries, answers to them, and what of both is fit to learn from."""
