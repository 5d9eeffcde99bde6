"""The requests and answers of the system that this API comes from, as its description has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parts.served import Served
from parts.waiting import eventually

WATCHER = {
    "id", "job_id", "hostname", "name", "pattern", "interval_seconds", "captures", "condition", "actions", "state",
    "trigger_count", "last_check", "last_position", "created_at", "timer_mode_enabled", "timer_interval_seconds",
    "timer_mode_active", "variables",
}  # fmt: skip
EVENT = {
    "id", "watcher_id", "job_id", "hostname", "timestamp", "matched_text", "captured_vars", "action_type",
    "action_result", "success",
}  # fmt: skip
TRAINING_LOSS: dict[str, Any] = {
    "name": "Training Loss Monitor",
    "pattern": r"Epoch \d+.*loss: ([\d.]+).*val_loss: ([\d.]+)",
    "captures": ["train_loss", "val_loss"],
    "actions": [
        {"type": "store_metric", "params": {"name": "train_loss", "value": "$train_loss"}},
        {"type": "store_metric", "params": {"name": "val_loss", "value": "$val_loss"}},
    ],
}
AUTO_CANCEL: dict[str, Any] = {
    "name": "CUDA OOM Handler",
    "pattern": "(CUDA out of memory|OutOfMemoryError)",
    "captures": ["error"],
    "condition": None,
    "actions": [
        {"type": "log_event", "params": {"message": "CUDA OOM detected: $error"}},
        {"type": "cancel_job", "params": {"reason": "CUDA out of memory"}},
    ],
}
CHECKPOINT: dict[str, Any] = {
    "name": "Checkpoint Saver",
    "pattern": "checkpoint_dir: (.+)",
    "captures": ["dir"],
    "timer_mode_enabled": True,
    "timer_interval_seconds": 300,
    "interval_seconds": 30,
    "actions": [{"type": "log_event", "params": {"message": "saving $dir"}}],
}


@pytest.fixture
async def job(served: Served) -> Served:
    """A served house with job 12345."""
    served.jobs.add("12345")
    await served.look()
    return served


@pytest.mark.parametrize("config", [TRAINING_LOSS, AUTO_CANCEL, CHECKPOINT], ids=lambda config: str(config["name"]))
async def test_a_watcher_is_created_listed_and_looked_at(job: Served, config: dict[str, Any]) -> None:
    made = await job.post("/api/watchers", {"job_id": "12345", "hostname": "localhost", **config})
    of_job = await job.get("/api/jobs/12345/watchers")
    assert of_job.keys() == {"job_id", "watchers", "count"}
    assert of_job["count"] == 1
    (shown,) = of_job["watchers"]
    assert shown.keys() >= WATCHER
    for field, value in config.items():
        assert shown[field] == value, field
    assert shown["id"] == made["id"]
    assert shown["state"] == "active"
    everything = await job.get("/api/watchers", state="active", limit=10)
    assert everything["count"] == 1
    assert everything["watchers"] == [shown]
    assert (await job.get(f"/api/watchers/{made['id']}")).items() >= shown.items()


async def test_loss_is_stored_and_events_and_counts_tell_it(job: Served) -> None:
    made = await job.post("/api/watchers", {"job_id": "12345", "hostname": "localhost", **TRAINING_LOSS})
    Path(str(next(iter(job.jobs.listed.values())).stdout)).write_text("Epoch 3 - loss: 0.31, val_loss: 0.42\n")
    await eventually(lambda: len(job.house.events("action.succeeded")) == 2)
    found = await job.get("/api/watchers/events", job_id="12345", watcher_id=made["id"], limit=10)
    assert found["count"] == 2
    assert all(event.keys() >= EVENT for event in found["events"])
    newest = found["events"][0]
    assert newest["captured_vars"] == {"train_loss": "0.31", "val_loss": "0.42"}
    assert (newest["action_type"], newest["success"]) == ("store_metric", True)
    stats = await job.get("/api/watchers/stats")
    assert stats == {
        "total_watchers": 1,
        "watchers_by_state": {"active": 1},
        "total_events": 2,
        "events_by_action": {"store_metric": {"total": 2, "success": 2, "failed": 0}},
        "events_last_hour": 2,
        "top_watchers": [
            {"watcher_id": made["id"], "job_id": "12345", "name": "Training Loss Monitor", "event_count": 2}
        ],
    }
    shown = await job.get(f"/api/watchers/{made['id']}")
    assert shown["variables"]["train_loss"] == "0.31"
    assert shown["last_position"] == 37


async def test_pause_resume_trigger_edit_and_delete(job: Served) -> None:
    made = await job.post("/api/watchers", {"job_id": "12345", "hostname": "localhost", **CHECKPOINT})
    path = f"/api/watchers/{made['id']}"
    await job.post(f"{path}/pause")
    assert (await job.get("/api/watchers", state="paused"))["count"] == 1
    await job.post(f"{path}/resume")
    assert (await job.get(path))["state"] == "active"
    triggered = await job.post(f"{path}/trigger")
    assert (triggered["timer_mode"], triggered["success"], triggered["matches"]) == (False, True, 0)
    assert isinstance(triggered["message"], str)
    answer = await job.http.put(path, json={"interval_seconds": 120, "timer_interval_seconds": 60, "name": "Saver"})
    assert answer.status_code == 200, answer.text
    shown = await job.get(path)
    assert (shown["interval_seconds"], shown["timer_interval_seconds"], shown["name"]) == (120, 60, "Saver")
    assert (await job.http.delete(path)).status_code == 200
    assert (await job.http.get(path)).status_code == 404


async def test_the_socket_tells_events_and_states_as_described(job: Served) -> None:
    made = await job.post("/api/watchers", {"job_id": "12345", "hostname": "localhost", **AUTO_CANCEL})
    async with job.socket() as everything, job.socket("/ws/watchers/12345") as of_job:
        for socket in (everything, of_job):
            assert (await socket.next())["type"] == "initial"
        Path(str(next(iter(job.jobs.listed.values())).stdout)).write_text("RuntimeError: CUDA out of memory\n")
        for socket in (everything, of_job):
            message = await socket.next("watcher_event")
            assert message["event"].keys() >= EVENT
            assert message["event"]["action_result"].endswith("CUDA OOM detected: CUDA out of memory")
            change = await socket.next("watcher_state_change")
            assert (change["watcher_id"], isinstance(change["state"], str)) == (made["id"], True)
    await eventually(lambda: job.jobs.cancelled == ["12345"])
