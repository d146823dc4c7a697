"""The HTTP door, and the runs behind it: claimed, worked on by the lead, shown from their logs."""
