"""Strategies: what a Case is and how Cases are drawn. Pure data; neither CUDA nor bitsandbytes."""
