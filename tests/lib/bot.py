"""The bot whose calls these are: it forwards what Graph tells it, as it came, to a topic."""

import json

from kafka_client import Commands

TYPE = "#microsoft.graph.inviteParticipantsOperation"
FAILURE = {"@odata.type": "#microsoft.graph.resultInfo", "code": 412, "subcode": 9999,
           "message": "addParticipants failed for participant 4:+12345678901."}


def bare(name):
    """An id as Graph's notifications may write it."""
    return name.replace("-", "").upper()


def ended(effect, failed=False):
    """What Graph tells of the operation that an invite made: `effect` is its line in the journal
    of the simulator. Ids, change type and status differ in form from what its answer said."""
    call, operation = bare(effect["call"]), bare(effect["operation"])
    path = f"/communications/calls/{call}/operations/{operation}"
    return {
        "@odata.type": "#microsoft.graph.commsNotification", "changeType": "Deleted",
        "resource": path.replace("/communications", "/app"), "resourceUrl": path,
        "resourceData": {
            "@odata.type": TYPE, "id": operation, "clientContext": effect["client_context"],
            "status": "failed" if failed else "Completed",
            "participants": effect["body"]["participants"],
            **({"resultInfo": FAILURE} if failed else {}),
        },
    }


def roster(effect):
    """The other thing that Graph tells after an invite: who is in the call."""
    path = f"/communications/calls/{bare(effect['call'])}/participants"
    people = [{"info": {"identity": one["identity"]}} for one in effect["body"]["participants"]]
    return {"@odata.type": "#microsoft.graph.commsNotification", "changeType": "Updated",
            "resourceUrl": path, "resourceData": people}


class Bot:
    def __init__(self, bootstrap, topic):
        self.records = Commands(bootstrap, topic)

    def forward(self, call, *notifications):
        """One callback of Graph's; the key is the id of the call as the bot has it."""
        body = {"@odata.type": "#microsoft.graph.commsNotifications", "value": notifications}
        self.records.send(json.dumps(body).encode(), key=call)

    def junk(self, value, key=None):
        self.records.send(value, key=key)

    def flush(self):
        self.records.flush()
