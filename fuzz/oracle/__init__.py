"""The oracle: what each kernel computes, how exactly, and what an output may therefore be. Calls no bitsandbytes."""
