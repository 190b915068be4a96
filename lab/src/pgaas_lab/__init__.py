"""Two one-node Kubernetes clusters on one machine, for trying and testing pgaas."""
