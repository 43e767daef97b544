"""Benchmarks: what the hub costs beside what it drives, measured on this machine (`make bench`)."""
