"""The report of a trained policy, written from files: evaluations, an arm a folder, and metrics of training.

`arms` and `training` read, `measures`, `compare` and `columns` compute, `charts`, `sections` and `report` write. What
is missing is named as missing; the same files give the same bytes.
"""
