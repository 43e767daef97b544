"""Cinder, API v3: volumes."""
