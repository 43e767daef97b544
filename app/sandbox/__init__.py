"""A small OpenStack-compatible cloud, and the nodes that boot on it (or on a real one).

A program of its own: it imports nothing of the rest of MC Hub.
"""
