"""The whole way over HTTP with a real local job: watched as it prints, cancelled, read, completed."""

from __future__ import annotations

from parts.house import House
from parts.served import serving
from parts.waiting import eventually

SCRIPT = "echo 'epoch 1 loss: 0.5'; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done"


async def test_a_real_job_is_watched_cancelled_and_completed(house: House) -> None:
    async with serving(house) as served:
        job_id = await house.submit(SCRIPT, wait=False, **{"job-name": "train"})
        async with served.socket(f"/ws/watchers/{job_id}") as socket:
            assert (await socket.next("initial"))["count"] == 0
            made = await served.create(
                "Loss", job_id, pattern=r"loss: ([\d.]+)", captures=["loss"],
                actions=[
                    {"type": "store_metric", "params": {"name": "loss", "value": "$loss"}},
                    {"type": "cancel_job", "params": {"reason": "loss is $loss"}},
                ],
            )  # fmt: skip
            stored = (await socket.next("watcher_event"))["event"]
            assert (stored["action_type"], stored["captured_vars"]) == ("store_metric", {"loss": "0.5"})
            cancelled = (await socket.next("watcher_event"))["event"]
            assert (cancelled["action_type"], cancelled["success"]) == ("cancel_job", True)
            while (await socket.next("watcher_state_change", timeout=30))["state"] != "completed":
                pass
        assert (await served.get(f"/api/metrics/{job_id}/loss"))["points"][0]["value"] == 0.5
        output = await served.get(f"/api/jobs/{job_id}/output")
        assert output["text"].startswith("epoch 1 loss: 0.5\n")
        job = await served.get(f"/api/jobs/{job_id}")
        assert (job["state"], job["name"]) == ("cancelled", "train")
        shown = await served.get(f"/api/watchers/{made['id']}")
        assert (shown["state"], shown["trigger_count"]) == ("completed", 1)
        again = await served.post(f"/api/watchers/{made['id']}/trigger")
        assert again["success"]
        await eventually(lambda: len(house.events("action.succeeded", watcher="Loss")) == 4)
