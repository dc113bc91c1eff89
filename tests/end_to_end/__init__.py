"""The real commands in processes of their own, against a bitsandbytes whose faults are known."""
