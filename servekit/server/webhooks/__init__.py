"""Telling receivers of predictions by webhooks: signed, in order, and never at the cost of anybody else."""
