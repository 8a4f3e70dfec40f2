"""Any bytes where a PROXY header is expected: one answer, whatever the pieces they come in."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server import proxy
from server.proxy import LONGEST, SIGNATURE, Header, MalformedError

Verdict = Header | None | str

begun = st.sampled_from(
    [b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ::1 ::1 ", b"PROXY UNKNOWN", SIGNATURE]
)
parts = st.sampled_from([b"1.2.3.4 ", b"::1 ", b"1 ", b"65535", b"\r\n", b"\x21\x11", b"\0\x0c"])
words = st.lists(st.one_of(parts, st.binary(max_size=20)), max_size=12)


def verdict(data: bytes) -> Verdict:
    try:
        return proxy.parse(data)
    except MalformedError:
        return "malformed"


@settings(max_examples=2000)
@given(first=begun, more=words)
@example(first=SIGNATURE, more=[b"\x20\x00\xff\xff"])
def test_the_verdict_is_the_same_in_any_pieces(first: bytes, more: list[bytes]) -> None:
    data = first + b"".join(more)
    whole = verdict(data)
    found: Verdict = None
    for end in range(len(data) + 1):
        found = verdict(data[:end])
        if found is not None:
            break
    # As soon as anything is known it is what the whole says: nothing is taken back.
    assert found == whole
    if isinstance(whole, Header):
        assert 0 < whole.length <= min(len(data), LONGEST)
        assert verdict(data[: whole.length]) == whole
        assert (
            whole.peer is None
            or whole.peer.rpartition(b":")[2].isdigit()
            or (whole.peer.startswith(b"unix/:"))
        )
