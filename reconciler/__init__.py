"""Declarative, GitOps-style automation for batch jobs on SLURM."""

__version__ = "0.1.0"
