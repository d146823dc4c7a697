"""The collector: training tasks through the serving cluster, in groups, rewarded, no staler than allowed."""
