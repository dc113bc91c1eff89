"""Measures on a device which emulations its kernels agree with, bit for bit or within their intervals."""
