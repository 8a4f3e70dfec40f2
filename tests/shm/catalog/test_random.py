"""Any sequence of changes leaves what a simple model says, and a catalog without contradictions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shm.catalog import changes
from shm.catalog.errors import RefusedError
from shm.catalog.store import Store
from tests.shm.catalog.model import Model, violations

NAMES = st.sampled_from(["a", "b", "c", "d", "public", "guest"])
FUNCTIONS = st.sampled_from(["f", "g"])
KINDS = st.sampled_from(["user", "role"])
OBJECTS = st.one_of(
    st.tuples(st.just("function"), FUNCTIONS),
    st.tuples(st.just("user"), NAMES),
    st.tuples(st.just("role"), NAMES),
)
MASKS = st.sampled_from([4, 16, 20, 32, 36, 100])
STEPS = st.one_of(
    st.tuples(st.just("create"), KINDS, NAMES),
    st.tuples(st.just("drop"), KINDS, NAMES),
    st.tuples(st.just("create_function"), st.integers(30, 36), FUNCTIONS),
    st.tuples(st.just("drop_function"), FUNCTIONS),
    st.tuples(st.sampled_from(["grant", "revoke"]), KINDS, NAMES, MASKS, OBJECTS),
)


def real(store: Store, step: tuple[Any, ...]) -> Any:
    operation, *given = step
    if operation == "create":
        return changes.apply(store, "create_principal", [1, *given])
    if operation == "drop":
        return changes.apply(store, "drop_principal", given)
    if operation == "create_function":
        return changes.apply(store, operation, [*given, {}])
    if operation == "drop_function":
        return changes.apply(store, operation, given)
    kind, name, mask, (what, named) = given
    who = [1] if operation == "grant" else []
    return changes.apply(store, operation, [*who, kind, name, mask, "some", what, None, named])


def modelled(model: Model, step: tuple[Any, ...]) -> Any:
    operation, *given = step
    if operation in ("grant", "revoke"):
        *given, (what, named) = given
        given = [*given, what, named]
    return getattr(model, operation)(*given)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_it_does_what_the_model_does(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.make(Path(folder) / "c", durable=False)
        model = Model.of(store)
        for step in steps:
            try:
                result = real(store, step)
            except RefusedError as error:
                result = error.code
            assert result == modelled(model, step), step
        found = Model.of(store)
        assert (found.principals, found.functions, found.rights) == (
            *(model.principals, model.functions, model.rights),
        )
        assert violations(store) == []
        store.close()
