"""The API's Python client. `Client` has a method for each endpoint, `follow` yields what happens as it happens;
`RemoteState` answers as a state here would.

from reconciler.client import Client

with Client("https://login1:8443", key="rk_...", certificate="self-signed.pem") as client:
    made = client.create(job_id="4711", hostname="localhost", name="NaN", pattern="loss: nan",
                         actions=[{"type": "cancel_job"}])
    for event in client.events(watcher_id=made["id"]):
        print(event["timestamp"], event["action_result"])

async for message in follow("https://login1:8443", key="rk_...", certificate="self-signed.pem"):
    print(message["type"], message["seq"])
"""

from reconciler.client.following import follow
from reconciler.client.http import Client
from reconciler.client.remote import RemoteState

__all__ = ["Client", "RemoteState", "follow"]
