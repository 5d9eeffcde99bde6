"""A seeded training log and patterns for it, as `matching` uses them: the same bytes for the same seed and size.

A tenth of the bytes are progress bars that redraw with a lone carriage return. Ten patterns have a match in one line of
two hundred each, ninety more in one of four thousand each; no line has two. Every pattern has a named group.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

BARS = 0.1  # of the bytes
OFTEN, SELDOM = 1 / 200, 1 / 4000  # of the lines
NOUNS = [
    *("decoder", "encoder", "gradient", "optimizer", "sampler"),
    *("scheduler", "tokenizer", "validation", "warmup", "attention"),
]

#: (pattern, line) by the kind of thing that is asked for; `{noun}` and numbers are filled in.
_KINDS: tuple[tuple[str, str], ...] = (
    (r"{noun} loss: (?P<value>\d+\.\d+), step: (?P<step>\d+)", "{noun} loss: {real}, step: {whole}"),
    (r"(?P<value>\d+\.\d+) GB of {noun} memory", "now holding {real} GB of {noun} memory on cuda:{digit}"),
    (r"{noun} overflow, scale (?:is|set to) (?P<scale>\d+)", "{noun} overflow, scale set to {whole}"),
    (r"rank (?P<rank>\d+): {noun} failed: (?P<reason>.+)$", "rank {digit}: {noun} failed: code {whole} from peer"),
    (r"saved {noun} to (?P<path>\S+)", "saved {noun} to /scratch/run/{whole}/{noun}.pt in {real} s"),
    (r"(?P<count>\d+) retries in {noun}", "gave up after {whole} retries in {noun} (limit reached)"),
    (r"{noun} took (?P<secs>\d+(?:\.\d+)?)s", "{noun} took {real}s, queue length {digit}"),
    (r"\b{noun}_acc=(?P<acc>0\.\d+)", "evaluated: {noun}_acc=0.{whole} best so far"),
    (r"(?P<level>WARN|ERROR) \[{noun}\] (?P<text>.*)", "ERROR [{noun}] bucket {digit} was rebuilt after {whole} steps"),
    (r"timeout of (?P<ms>\d+) ms waiting for {noun}", "timeout of {whole} ms waiting for {noun} on device {digit}"),
)
#: Ten that hit often come first, one of each kind.
PATTERNS = tuple(
    pattern.replace("{noun}", NOUNS[(row + column) % len(NOUNS)])
    for row in range(len(NOUNS))
    for column, (pattern, _) in enumerate(_KINDS)
)
_EVENTS = tuple(
    line.replace("{noun}", NOUNS[(row + column) % len(NOUNS)])
    for row in range(len(NOUNS))
    for column, (_, line) in enumerate(_KINDS)
)
_CHATTER = (
    "train.py:{whole} step={step} lr={real}e-05 grad_norm={real} tokens_per_second={whole} mem={real}GiB mfu=0.{whole}",
    "data.py:{digit} shard {whole} of 8192 opened, {whole} samples, prefetch depth {digit}, cache hit rate 0.{whole}",
    "loop.py:{whole} forward {real} ms, backward {real} ms, all-reduce {real} ms, data {real} ms, step {step} in all",
    "monitor.py:88 gpu{digit} util={whole} power={real}W temp={digit}2C clocks={whole}MHz throttle=none ecc=0 pids=1",
)


def write_log(path: Path, size: int, seed: int = 1) -> int:
    """Write about `size` bytes; return how many there are. Takes some seconds for 200 MB."""
    written = 0
    with path.open("wb") as log:
        for block in _blocks(random.Random(seed)):
            written += log.write(block)
            if written >= size:
                return written
    return written


def _blocks(dice: random.Random) -> Iterator[bytes]:
    """Yield a few thousand lines at a time, for ever."""
    step = 0
    while True:
        lines: list[str] = []
        for _ in range(4000):
            step += 1
            lines.append(_line(dice, step))
        text = "\n".join(lines) + "\n"
        yield (text + _bar(dice, step, int(len(text) * BARS / (1 - BARS)))).encode()


def _line(dice: random.Random, step: int) -> str:
    fill = _filler(dice, step)
    chance = dice.random()
    number = int(chance / OFTEN) if chance < 10 * OFTEN else 10 + int((chance - 10 * OFTEN) / SELDOM)
    body = _EVENTS[number] if number < len(_EVENTS) else _CHATTER[step % len(_CHATTER)]
    return f"[2026-02-03 {step // 3600 % 24:02d}:{step // 60 % 60:02d}:{step % 60:02d},{step % 1000:03d}] " + fill(body)


def _filler(dice: random.Random, step: int) -> Callable[[str], str]:
    def fill(body: str) -> str:
        number = dice.getrandbits(30)
        return body.format(
            whole=number % 90_000 + 10_000, digit=number % 8, real=f"{number % 5000 / 1000:.3f}", step=step
        )

    return fill


def _bar(dice: random.Random, step: int, size: int) -> str:
    """Return redraws of one progress bar, `size` characters of them."""
    drawn: list[str] = []
    length = done = 0
    while length < size:
        done = min(done + 1, 1000)
        filled = done // 25
        speed = dice.random() * 40
        drawn.append(
            f"Epoch {step // 4000}: {done // 10:3d}%|{'#' * filled:<40}| {done}/1000 [{done}<9, {speed:.2f}it/s]"
        )
        length += len(drawn[-1]) + 1
    return "\r".join(drawn) + "\n"
