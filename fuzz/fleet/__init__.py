"""Many machines: the same campaign in shards on a Ray cluster, one report of all."""
