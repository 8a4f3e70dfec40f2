"""The names of the protocol's numbers."""

from __future__ import annotations

from typing import Any

from tests.helpers.engine import Client
from tests.helpers.raw import ID, request

TABLES = ("key", "type", "flag", "ballot_key", "metadata_key", "raft_key", "feature")


def table(client: Client, name: str) -> dict[str, Any]:
    (found,) = client.eval("return box.iproto[...]", name).data
    assert isinstance(found, dict)
    return found


def test_numbers(client: Client) -> None:
    source = """local i = box.iproto
        return i.GREETING_SIZE, i.GREETING_PROTOCOL_LEN_MAX, i.GREETING_SALT_LEN_MAX"""
    assert client.eval(source).data == [128, 32, 44]


def test_every_number_of_a_table_has_one_name(client: Client) -> None:
    for name in TABLES:
        found = table(client, name)
        assert len(set(found.values())) == len(found) > 2
        assert all(key.islower() if name == "feature" else key.isupper() for key in found)


def test_samples(client: Client) -> None:
    key, kind = table(client, "key"), table(client, "type")
    assert (key["REQUEST_TYPE"], key["STREAM_ID"], key["THREAD_ID"]) == (0, 10, 11)
    assert (key["DATA"], key["ERROR_24"], key["EVENT_KEY"], key["EVENT_DATA"]) == (48, 49, 87, 88)
    assert (key["ARROW"], key["IS_SYNC"], key["CHECKPOINT_LSN"]) == (54, 97, 100)
    assert (kind["CALL"], kind["WATCH_ONCE"], kind["CHUNK"], kind["ID"]) == (10, 77, 128, 73)
    assert (kind["TYPE_ERROR"], kind["UNKNOWN"], kind["DELETE_RANGE"]) == (32768, -1, 18)
    assert table(client, "flag") == {"COMMIT": 1, "WAIT_SYNC": 2, "WAIT_ACK": 4}
    assert table(client, "ballot_key")["REGISTERED_REPLICA_UUIDS"] == 9
    assert table(client, "metadata_key")["SPAN"] == 5
    assert table(client, "raft_key")["IS_LEADER_SEEN"] == 5
    assert table(client, "feature")["insert_arrow"] == 12


def test_the_features_are_those_of_id(client: Client) -> None:
    (answer,) = client.exchange(request({0: ID, 1: 1}, {0x54: 6, 0x55: []}))
    version, features = answer.body[0x54], answer.body[0x55]
    numbers = table(client, "feature")
    said = table(client, "protocol_features")
    assert client.eval("return box.iproto.protocol_version").data == [version]
    assert set(said.values()) == {True}
    assert sorted(numbers[name] for name in said) == sorted(features)


def test_keys_have_the_types_that_the_decoder_checks(client: Client) -> None:
    known = client.engine.execute("""
        local types, listed = require('beespace.engine.const').value_type, 0
        for _, number in pairs(require('beespace.box.iproto_const').key) do
          assert(types[number], number)
          listed = listed + 1
        end
        local all = 0
        for _ in pairs(types) do all = all + 1 end
        return listed, all
    """)
    assert known[0] == known[1]
