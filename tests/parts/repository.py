"""Real git repositories of a test's own: commits, branches, signatures, without anybody's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ONE = 'name: {name}\npattern: "{pattern}"\nactions:\n  - {{type: log_event, params: {{message: "{name} saw $0"}}}}\n'


def a_file(name: str = "w", pattern: str = "hit") -> str:
    """Return the text of a file with one watcher."""
    return ONE.format(name=name, pattern=pattern)


class Repository:
    """A repository with a work tree at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        """Run git here and return what it printed."""
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        done = subprocess.run(["git", *who, *words], cwd=self.path, env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | None], *words: str) -> str:
        """Write these files (None: delete), commit all of the work tree, and return the commit."""
        for name, text in files.items():
            path = self.path / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.git("add", "-A", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "a change", *words)
        return self.git("rev-parse", "HEAD")

    def bare(self, path: Path) -> Path:
        """Clone it bare, push there from now on by `push`."""
        self.git("clone", "-q", "--bare", str(self.path), str(path))
        self.git("remote", "add", "origin", str(path))
        return path

    def push(self) -> None:
        """Push all branches, forced."""
        self.git("push", "-q", "--force", "--all", "origin")

    def signing_key(self) -> None:
        """Sign with a fresh SSH key from now on; `git verify-commit` of this repository knows it."""
        key = self.path / ".git" / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        allowed = self.path / ".git" / "allowed"
        allowed.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
        for name, value in {
            "gpg.format": "ssh", "user.signingkey": str(key), "gpg.ssh.allowedSignersFile": str(allowed),
        }.items():  # fmt: skip
            self.git("config", name, value)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository with a work tree."""
    return Repository(tmp_path / "repository")
