"""`reconcile attach JOB --pattern ...`: a watcher for one job, written into the writable layer beside the state."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import note, report
from reconciler.cli.text import safe
from reconciler.cli.yaml_files import as_yaml
from reconciler.errors import SpecError, UsageError

_EPILOG = """\
\b
Examples:
  reconcile attach 4711 --pattern 'loss: nan' --cancel
  reconcile attach 4711@hpc1 --pattern 'Epoch (\\d+)' --metric epoch='$1' --notify me
  reconcile attach 4711 --silence 30m --notify me --print
"""


@click.command(epilog=_EPILOG)
@click.argument("job")
@click.option("--pattern", metavar="REGEX", help="What to look for in the job's output.")
@click.option("--preset", metavar="NAME", help="A ready-made set of patterns: oom, nan, traceback, ...")
@click.option("--silence", metavar="DURATION", help="Trigger when the output has not grown for so long.")
@click.option("--name", metavar="NAME", help="Name of the watcher (default: made from the job).")
@click.option("--stream", type=click.Choice(["stdout", "stderr", "both"]), default="stdout", show_default=True)
@click.option("--from-end", is_flag=True, help="Begin with what is printed from now on.")
@click.option("--cancel", is_flag=True, help="Cancel the job.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME=VALUE", help="Store a metric, e.g. loss='$1'.")
@click.option("--notify", "channels", multiple=True, metavar="CHANNEL", help="Tell this channel of the settings.")
@click.option("--print", "only_print", is_flag=True, help="Only print the YAML, to commit it yourself.")
@click.pass_obj
def command(options: GlobalOptions, /, job: str, only_print: bool, **words: Any) -> None:
    """Put a watcher on JOB (an id, or id@host). Without an action it records each match as an event."""
    from reconciler import app  # all save start-up time: it knows every class
    from reconciler.engine.dropins import Dropins
    from reconciler.logic.lint import warnings

    spec = _spec(job, **words)
    text = as_yaml(spec)
    loaded = app.parse(text.encode(), "the watcher that this would write")
    if not loaded.good:
        raise SpecError(loaded.problems)
    if only_print:
        click.echo(safe(text, keep="\n"), nl=False)
        return
    settings = app.load_settings(options.config)
    if settings.client.url is not None:
        from reconciler.cli.remote import client_of  # saves start-up time: httpx

        with client_of(settings) as client:
            made = client.create(yaml=text)
        click.echo(f"wrote {safe(made['file'])} there")
        note(safe(made["message"]))
        return
    layer = Dropins(app.api_directory(settings))
    path = layer.path_for(spec["name"], spec["jobs"]["ids"][0])
    if path.exists():
        raise UsageError(f"{path} exists", remedy="give the watcher another --name, or delete that file")
    layer.write(path, text)
    click.echo(f"wrote {path}")
    placed = (loaded.specs[0], str(path))
    if doubts := [*warnings(*placed), *app.policy_warnings(settings, *placed, "api:")]:
        report(SpecError(doubts))
    note("a running reconciler takes it up by itself; otherwise `reconcile --once` does")


def _spec(job: str, *, metrics: tuple[str, ...], channels: tuple[str, ...], **words: Any) -> dict[str, Any]:
    job_id, _, host = job.partition("@")
    seen = f"${{0:-nothing was printed for {words['silence']}}}" if words["silence"] else "$0"
    actions: list[dict[str, Any]] = []
    for metric in metrics:
        name, equals, value = metric.partition("=")
        if not equals:
            raise UsageError(f"--metric {metric!r} has no value", remedy="write for example --metric loss='$1'")
        actions.append({"type": "store_metric", "params": {"name": name, "value": value}})
    actions += [
        {"type": "notify", "params": {"channel": c, "message": "${JOB_NAME} (${JOB_ID}): " + seen}} for c in channels
    ]
    if words["cancel"]:
        actions.append({"type": "cancel_job", "params": {"reason": seen}})
    if not any((words["pattern"], words["preset"], words["silence"])):
        raise UsageError("what should be looked for?", remedy="give --pattern, --preset or --silence")
    spec: dict[str, Any] = {
        "name": words["name"] or f"attached to {job_id}" + (f" on {host}" if host else ""),
        "jobs": {"ids": [job_id], **({"hosts": [host]} if host else {})},
        **{key: words[key] for key in ("pattern", "preset", "silence") if words[key]},
        "actions": actions or [{"type": "log_event", "params": {"message": seen}}],
    }
    if words["stream"] != "stdout":
        spec["output_type"] = words["stream"]
    if words["from_end"]:
        spec["start_at"] = "end"
    return spec
