"""Terraform: templates, plans, runs, logs and state. Knows Terraform, knows no cluster."""
