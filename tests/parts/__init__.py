"""What tests share: real parts (SLURM, sshd) as fixtures, waiting with a deadline, what to do where a part is missing.

`tests/conftest.py` loads the modules with fixtures as plugins; tests write `from parts.waiting import eventually`.
"""
