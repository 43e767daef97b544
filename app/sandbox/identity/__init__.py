"""Keystone, API v3: who is asking, and where the services are."""
