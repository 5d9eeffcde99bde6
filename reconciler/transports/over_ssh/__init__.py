"""How a host is reached over SSH: the parts behind `transports/ssh.py`; see README.md in this folder.

A package of its own, so that finding the plugins does not import asyncssh (start-up time).
"""
