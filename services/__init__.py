"""The processes of the cluster, the kit they share, and the command line."""
