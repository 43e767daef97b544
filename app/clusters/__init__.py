"""Clusters: form -> main.tf.json -> plan -> review -> apply -> provisioning -> change -> destroy (spec/clusters.md)."""
