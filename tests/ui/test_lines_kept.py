"""The part of an output that a page keeps: bounded, every line with its right number, whichever way it grew."""

from __future__ import annotations

from typing import Any

from parts.served import Served
from parts.window import Window

MANY, KEPT = 9000, 5000
#: Goes forwards from the start beyond what is kept, then back to the start, then to the middle; says what it saw.
WALK = """
async ([last, kept]) => {
  const { Lines } = await import("/parts/lines.js");
  const lines = new Lines({ host: "localhost", id: "1", stream: "stdout" }, new AbortController().signal, kept);
  const wrong = () => lines.rows.filter(row => row.text !== `line ${row.number}`).length;
  const told = [];
  const tell = () => told.push([lines.rows.length, lines.rows[0].number, lines.rows.at(-1).number, wrong()]);
  await lines.head();
  tell();
  let went = 0;
  while (lines.behind > 0) went += (await lines.after()).went;
  tell();
  let came = 0;
  while (!lines.atStart) came += await lines.before();
  tell();
  await lines.around(await lines.offsetOf(last / 2));
  tell();
  const index = lines.rows.findIndex(row => row.number === last / 2);
  return { told, went, came, found: lines.rows[index].text, atEnd: lines.atEnd, none: await lines.offsetOf(last + 1) };
}
"""


async def test_what_is_kept_is_bounded_and_numbered_rightly(served: Served, window: Window) -> None:
    served.jobs.add("1").write_bytes(b"".join(b"line %d\n" % number for number in range(1, MANY + 1)))
    await served.look()
    await window.go("/jobs")
    found: Any = await window.page.evaluate(WALK, [MANY, KEPT])
    first, forwards, backwards, middle = found["told"]
    assert first == [2000, 1, 2000, 0]
    assert forwards == [KEPT, MANY - KEPT + 1, MANY, 0]
    assert backwards == [KEPT, 1, KEPT, 0]
    assert middle[3] == 0
    assert (found["went"], found["came"] >= MANY - KEPT) == (MANY - KEPT, True)
    assert (found["found"], found["none"]) == (f"line {MANY // 2}", None)
