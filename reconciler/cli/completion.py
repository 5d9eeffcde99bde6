"""`reconcile completion SHELL` prints the script that makes a shell complete commands, options and directories."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  eval "$(reconcile completion bash)"                       in ~/.bashrc
  eval "$(reconcile completion zsh)"                        in ~/.zshrc
  reconcile completion fish > ~/.config/fish/completions/reconcile.fish
"""


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "reconcile", "_RECONCILE_COMPLETE").source())
