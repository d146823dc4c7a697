"""Recipes: stages of commands that make a policy, done once, in order, and gone on with after whatever ended them."""
